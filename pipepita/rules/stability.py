"""Whether the textbook modulated pass diverges with samples in flight.

If the weights change between a sample's two passes, h_l - m_l contains (W_old - W_now) h_{l-1}, a positive feedback. It
stays bounded only while

    lr * lambda_max(E[x x^T]) * staleness / (1 - momentum) < 1        staleness = window - 1

where x are the inputs of the layer (for a convolution: its input patches).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from pipepita.network.synapse import Synapse
from pipepita.network.synapses import synapse
from pipepita.randomness import generator

_ITEMS, _ROUNDS = 1024, 30


def largest_eigenvalue(module: nn.Linear | nn.Conv2d, x: Tensor) -> float:
    """The largest eigenvalue of E[x x^T], where x are the inputs or the input patches of `module`.

    It comes from a power iteration, so it is never too large, and a percent or two too small if the two largest
    eigenvalues are nearly equal.

    Args:
        module: The linear map. Its weights do not matter.
        x: (N, *in_shape), float32.
    """
    probe = _one_unit(module)
    weight = probe.module.weight
    weight.copy_(torch.randn(weight.shape, generator=generator(0, "power iteration")))
    value, product = 0.0, torch.empty_like(weight)
    for _ in range(_ROUNDS):
        weight.div_(weight.norm().clamp_min(torch.finfo(torch.float32).tiny))
        probe.accumulate(probe.forward(x), x, [product], 0.0, 1.0)
        value = float(product.norm())
        weight.copy_(product)
    return value


def _one_unit(module: nn.Linear | nn.Conv2d) -> Synapse:
    """A synapse like that of `module` with a single unit (for a grouped convolution: one unit per group)."""
    one = copy.deepcopy(module).requires_grad_(False)
    one.weight = nn.Parameter(torch.zeros_like(module.weight[: getattr(module, "groups", 1)]), requires_grad=False)
    one.bias = None
    return synapse(one)


def stability_index(module: nn.Linear | nn.Conv2d, x: Tensor, lr: float, momentum: float, window: int) -> float:
    """The left side of the condition at the top of this module: the form is stable while it is below 1.

    Args:
        module: The linear map of the network's first layer. Its weights do not matter.
        x: Its inputs, (N, *in_shape), float32, of which the first 1024 are used.
        lr: The learning rate.
        momentum: That of SGD.
        window: How many samples are in flight. With one the index is 0.
    """
    if window <= 1:
        return 0.0
    with torch.inference_mode():
        return lr * largest_eigenvalue(module, x[:_ITEMS]) * (window - 1) / (1 - momentum)
