"""Autograd's gradients with other weights in the backward pass, to compare rules with feedback weights with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, through):
        ctx.save_for_backward(x, through)
        return x @ weight.T

    @staticmethod
    def backward(ctx, grad):
        x, through = ctx.saved_tensors
        return grad @ through, grad.T @ x, None


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, through, stride, dilation, groups):
        ctx.save_for_backward(x, weight, through)
        ctx.rest = stride, 0, dilation, groups
        return F.conv2d(x, weight, None, stride, 0, dilation, groups)

    @staticmethod
    def backward(ctx, grad):
        x, weight, through = ctx.saved_tensors
        into = conv2d_input(x.shape, through, grad, *ctx.rest)
        return into, conv2d_weight(x, weight.shape, grad, *ctx.rest), None, None, None, None


def gradients(model: nn.Sequential, x: Tensor, y: Tensor, through: Callable[[nn.Module], Tensor]) -> dict[str, Tensor]:
    """d(mean cross-entropy)/d(parameter) by name, in float64, with `through(module)` as weights of the backward pass.

    A convolution's padding is done before it, so that autograd takes it into account.
    """
    model = model.double()
    h = x.double()
    for module in model:
        if isinstance(module, nn.Linear):
            h = _Linear.apply(h, module.weight, through(module).double())
        elif isinstance(module, nn.Conv2d):
            sides = [side for pair in reversed(_sides(module)) for side in pair]
            mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
            h = _Conv.apply(
                F.pad(h, sides, mode=mode), module.weight, through(module).double(), module.stride, module.dilation,
                module.groups,
            )  # fmt: skip
        else:
            h = module(h)
            continue
        if module.bias is not None:
            h = h + (module.bias if h.ndim == 2 else module.bias[:, None, None])
    loss = F.cross_entropy(h, y)
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def _sides(conv: nn.Conv2d) -> list[tuple[int, int]]:
    kernel = conv.kernel_size, conv.dilation
    if conv.padding == "same":
        return [((k - 1) * d // 2, (k - 1) * d - (k - 1) * d // 2) for k, d in zip(*kernel, strict=True)]
    return [(side, side) for side in conv.padding]
