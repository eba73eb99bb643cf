"""Vectorised nonnegative networks (Clark, Abbott & Chung 2021): each unit holds one number per class.

    ordinary network           Linear(n, u)              ReLU   Linear(u, v)              ReLU   Linear(v, K)
    vectorised counterpart     Linear(n, K u)            Gate   SharedLinear(K, u, v)     Gate   SharedLinear(K, v, 1)
                               one weight per (class,           the same weight for all          its K numbers are the
                               unit, input), any sign           classes, not negative            outputs

The K numbers of all units lie class by class: (B, K u), or (B, K channels, height, width). So pooling and `nn.Flatten`
work on them as they are. Published code: github.com/davidclark1/VectorizedNets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipepita.errors import UserError
from pipepita.network.modules import ACTIVATION, DROPOUT, INPUT, SHAPE, SOFTMAX, children, role
from pipepita.network.shared import Gate, SharedConv2d, SharedLinear
from pipepita.randomness import generator

_KEPT = (INPUT, SHAPE, DROPOUT, SOFTMAX)


def is_vectorized(model: nn.Sequential) -> bool:
    """Whether `model` is such a network."""
    return any(isinstance(module, Gate) for module in model)


def vectorized(model: nn.Sequential, classes: int) -> nn.Sequential:
    """The vectorised counterpart of an ordinary network, with weights that are not drawn yet: `draw` draws them.

    Activation functions become gates, and max pooling becomes average pooling, which keeps the numbers of a unit
    together. An `nn.RMSNorm` without a scale normalises all numbers of an item together.

    Args:
        model: The ordinary network, as `pipepita.build` makes one. It holds no other `nn.Sequential`.
        classes: How many classes there are.

    Returns:
        A new network with the same names, which shares the modules that need no counterpart of their own; `model`
        itself if it is vectorised already.

    Raises:
        UserError: A module has no counterpart or a bias, a hidden layer has an odd number of units (they come in
            pairs), or there is no hidden layer.

    Example:
        >>> import pipepita as pp
        >>> [type(module).__name__ for module in vectorized(pp.build("fc:8x2", (6,), 3), classes=3)]
        ['Linear', 'Gate', 'SharedLinear', 'Gate', 'SharedLinear']
    """
    if is_vectorized(model):
        return model
    made, units = nn.Sequential(), 0
    modules = children(model)
    maps = [name for name, module in modules if isinstance(module, nn.Linear | nn.Conv2d)]
    for name, module in modules:
        if isinstance(module, nn.Linear | nn.Conv2d):
            last = name == maps[-1]
            counterpart = _map(name, module, classes, first=name == maps[0], last=last)
            units = module.out_features if isinstance(module, nn.Linear) else module.out_channels
        else:
            counterpart = _other(name, module, classes, units)
        frozen = any(not parameter.requires_grad for parameter in module.parameters())
        made.add_module(name, counterpart.requires_grad_(not frozen))
    if len(maps) < 2:
        raise UserError("a vectorised network needs a hidden layer: fc:1024")
    return made


def _map(name: str, module: nn.Linear | nn.Conv2d, classes: int, *, first: bool, last: bool) -> nn.Module:
    if module.bias is not None:
        raise UserError(f"module {name} has a bias, which a vectorised network has not: pass bias=False")
    units = module.out_features if isinstance(module, nn.Linear) else module.out_channels
    if units % 2 and not last:
        raise UserError(f"module {name} has {units} units: a vectorised network needs an even number, they are paired")
    if isinstance(module, nn.Linear):
        if first:
            return nn.Linear(module.in_features, classes * units, bias=False)
        return SharedLinear(classes, module.in_features, 1 if last else units)
    if module.groups != 1 or isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise UserError(f"module {name} has groups or a padding by name, which a vectorised network has not")
    geometry: Any = (module.kernel_size, module.stride, module.padding, module.dilation)
    if first:
        return nn.Conv2d(module.in_channels, classes * units, *geometry, bias=False)  # type: ignore[misc]
    return SharedConv2d(classes, module.in_channels, units, *geometry)


def _other(name: str, module: nn.Module, classes: int, units: int) -> nn.Module:
    part = role(module, name)
    if part == ACTIVATION:
        return Gate(classes, units)
    if isinstance(module, nn.MaxPool2d) and module.dilation in (1, (1, 1)):
        return nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode)
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return nn.AdaptiveAvgPool2d(module.output_size)
    if part in _KEPT or isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
        return module
    if isinstance(module, nn.RMSNorm) and not module.elementwise_affine:
        width, *rest = module.normalized_shape
        if len(rest) in (0, 2) and width % units == 0:  # all of an item
            return nn.RMSNorm((classes * width, *rest), module.eps, elementwise_affine=False)
    raise UserError(
        f"module {name} is {type(module).__name__}, which has no counterpart in a vectorised network: of "
        "normalisations only RMSNorm of whole items without a scale has, of poolings those without dilation"
    )


def draw(model: nn.Sequential, seed: int, *, zero_output: bool = False) -> None:
    """Draws the weights and gates of a vectorised network, in place, so that units are paired (their appendix).

    The two units of a pair have opposite weights in the first layer and opposite gates. From there on a weight w of an
    ordinary network becomes max(w, 0) to the one and max(-w, 0) to the other. So nothing is negative, and the network
    computes at first what an ordinary one of half the units does. If a unit of the latter has n inputs, weights are
    N(0, 1 / n) in the first layer, and w is N(0, 2 / n) behind it. Frozen layers keep their weights.

    Args:
        model: The network.
        seed: Layer l draws from (seed, "weights", l) and (seed, "gates", l).
        zero_output: Whether the output layer begins at zero.
    """
    number, maps = 0, [module for module in model if isinstance(module, nn.Linear | nn.Conv2d)]
    classes = next(module.classes for module in model if isinstance(module, Gate))
    with torch.no_grad():
        for module in model:
            if isinstance(module, Gate):
                pair = (
                    torch.randint(2, (classes, module.units // 2), generator=generator(seed, "gates", number)) * 2.0 - 1
                )
                module.signs.copy_(torch.stack([pair, -pair], 2).flatten(1))
            elif isinstance(module, nn.Linear | nn.Conv2d):
                number += 1
                source = generator(seed, "weights", number)
                if not module.weight.requires_grad:
                    continue
                if module is maps[0]:
                    _draw_first(module.weight, classes, source)
                else:
                    _draw_shared(module.weight, maps[number - 2], classes, source)
                if zero_output and module is maps[-1]:
                    module.weight.zero_()


def _draw_first(weight: Tensor, classes: int, source: torch.Generator) -> None:
    units, *shape = weight.shape
    half = torch.randn(classes, units // classes // 2, *shape, generator=source) * weight[0].numel() ** -0.5
    weight.copy_(torch.stack([half, -half], 2).flatten(0, 2))


def _draw_shared(weight: Tensor, below: nn.Module, classes: int, source: torch.Generator) -> None:
    """below: the map below, whose units are the pairs: behind `nn.Flatten` each of them has several positions."""
    units = len(weight)
    pairs = len(below.weight) // (1 if isinstance(below, SharedLinear | SharedConv2d) else classes) // 2  # type: ignore[arg-type]
    drawn = torch.randn(max(units // 2, 1), pairs, weight[0].numel() // pairs // 2, generator=source)
    drawn *= 2 * weight[0].numel() ** -0.5
    made = weight.new_zeros(units, 2 * pairs, drawn.shape[2])
    made[::2, ::2], made[::2, 1::2] = drawn.relu(), (-drawn).relu()
    if units > 1:
        made[1::2, 1::2], made[1::2, ::2] = drawn.relu(), (-drawn).relu()
    weight.copy_(made.view(weight.shape))
