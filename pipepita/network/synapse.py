"""The trainable linear maps: what a layer multiplies with, and the local product that updates it.

A new kind of trainable map is one class here and one entry in `SYNAPSES`.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

Shape = tuple[int, ...]


class Synapse(Protocol):
    """A linear map with weights (and maybe a bias) that learns from a product of post- and presynaptic activity."""

    module: nn.Linear | nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        """W x + bias: the pre-activation of presynaptic activity `x`, (B, *in_shape) -> (B, *out_shape)."""

    def drive(self, x: Tensor, onto: Tensor) -> Tensor:
        """onto <- onto + W x, without bias; returns `onto`."""

    def through(self, basis: Tensor) -> Tensor:
        """W basis, without bias, for `mix`: (C, *in_shape) -> something with C rows."""

    def forward_and_through(self, x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        """`forward(x)` and `through(basis)` in one product, which reads W once."""

    def mix(self, shares: Tensor, through: Tensor, onto: Tensor) -> Tensor:
        """onto <- onto + W (shares basis) from `through(basis)`, for shares (B, C): W meets C items instead of B."""

    def back(self, post: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        """weight^T post, for any `weight` of the map's shape: what came out as `post` at inputs of `shape`, (B, ...).

        Contiguous, whatever `post` was.
        """

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        """into <- decay * into + scale * (post pre^T, averaged over the batch), for [weight] or [weight, bias].

        With decay 0 whatever `into` held is ignored, so it may be uninitialised.
        """

    def check(self, shape: Shape) -> str | None:
        """Why items of `shape` do not fit, or None."""

    def multiplications(self, out_shape: Shape) -> int:
        """Multiplications of one item's forward pass."""


class LinearSynapse:
    """`nn.Linear`: dW = post^T pre / B (section 3.2).

    The weight lies in memory as (in, out), behind its usual (out, in) face: a fifth off a CPU's forward pass.
    """

    def __init__(self, module: nn.Linear) -> None:
        self.module = module
        module.weight.data = module.weight.data.t().contiguous().t()

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.module.weight.t(), self.module.bias
        # not F.linear, which does not see how the weight lies
        return torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)

    def drive(self, x: Tensor, onto: Tensor) -> Tensor:
        return onto.addmm_(x, self.module.weight.t())

    def through(self, basis: Tensor) -> Tensor:
        return torch.mm(basis, self.module.weight.t())

    def forward_and_through(self, x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.mm(torch.cat([x, basis]), self.module.weight.t())
        preactivation = both[: len(x)]
        return preactivation if self.module.bias is None else preactivation.add_(self.module.bias), both[len(x) :]

    def mix(self, shares: Tensor, through: Tensor, onto: Tensor) -> Tensor:
        return onto.addmm_(shares, through)

    def back(self, post: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        return torch.mm(post, weight)

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        scale = scale / len(post)
        into[0].addmm_(post.t(), pre, beta=decay, alpha=scale)
        for bias in into[1:]:
            _mix(bias, post.sum(0), decay, scale)

    def check(self, shape: Shape) -> str | None:
        if len(shape) != 1:
            return f"takes flat items but gets {shape}: put nn.Flatten() before it"
        takes = self.module.in_features
        return None if shape[0] == takes else f"takes {takes} features but gets {shape[0]}"

    def multiplications(self, out_shape: Shape) -> int:
        return self.module.weight.numel()


class ConvSynapse:
    """`nn.Conv2d` with any stride, padding, dilation, groups and padding mode.

    The product is the paper's section 3.3: post x input patches, summed over positions, divided by their number,
    averaged over the batch; one convolution call. Everything is kept channels last, which on a CPU makes convolutions
    three and max pooling ten times as fast as the default layout.
    """

    def __init__(self, module: nn.Conv2d) -> None:
        self.module = module
        module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        sides = _sides(module)
        symmetric = all(before == after for before, after in sides)
        if module.padding_mode == "zeros" and symmetric:
            self._padding, self._border = tuple(before for before, _ in sides), None
        else:  # what conv2d cannot pad itself is padded before it; F.pad counts from the last dimension
            self._padding, self._border = (0, 0), [side for pair in reversed(sides) for side in pair]

    def _padded(self, x: Tensor) -> Tensor:
        if self._border is not None:
            mode = self.module.padding_mode
            x = F.pad(x, self._border, mode="constant" if mode == "zeros" else mode)
        return _channels_last(x)

    def _convolve(self, x: Tensor, bias: Tensor | None) -> Tensor:
        conv = self.module
        return F.conv2d(
            self._padded(x),
            conv.weight,
            bias,
            conv.stride,
            self._padding,
            conv.dilation,
            conv.groups,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self._convolve(x, self.module.bias)

    def drive(self, x: Tensor, onto: Tensor) -> Tensor:
        return onto.add_(self._convolve(x, None))

    def through(self, basis: Tensor) -> Tensor:
        return self._convolve(basis, None).permute(0, 2, 3, 1).flatten(1)

    def forward_and_through(self, x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(x), self.through(basis)  # little weight to read, and a larger input to join

    def mix(self, shares: Tensor, through: Tensor, onto: Tensor) -> Tensor:
        rows = onto.permute(0, 2, 3, 1)  # channels last, as convolutions here return it: flat without a copy
        rows.view(len(rows), -1).addmm_(shares, through)
        return onto

    def back(self, post: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        conv = self.module
        padded = shape if self._border is None else self._padded(torch.zeros(shape)).shape
        arrived = conv2d_input(
            tuple(padded), weight, _channels_last(post), conv.stride, self._padding, conv.dilation, conv.groups
        )
        return (arrived if self._border is None else self._unpadded(arrived, shape)).contiguous()

    def _unpadded(self, x: Tensor, shape: Shape) -> Tensor:
        """The transpose of the padding: what lay on the border goes back to where it came from."""
        with torch.inference_mode(False), torch.enable_grad():
            inner = torch.zeros(shape, device=x.device, requires_grad=True)
            (arrived,) = torch.autograd.grad(self._padded(inner), inner, x.clone())
        return arrived

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        conv, scale = self.module, scale / (len(post) * math.prod(post.shape[2:]))
        product = conv2d_weight(
            self._padded(pre),
            conv.weight.shape,
            _channels_last(post),
            conv.stride,
            self._padding,
            conv.dilation,
            conv.groups,
        )
        _mix(into[0], product, decay, scale)
        for bias in into[1:]:
            _mix(bias, post.sum((0, 2, 3)), decay, scale)

    def check(self, shape: Shape) -> str | None:
        if len(shape) != 3:
            return f"takes items of shape (channels, height, width) but gets {shape}"
        takes = self.module.in_channels
        return None if shape[0] == takes else f"takes {takes} channels but gets {shape[0]}"

    def multiplications(self, out_shape: Shape) -> int:
        return self.module.weight.numel() * math.prod(out_shape[1:])


def _channels_last(x: Tensor) -> Tensor:
    """`x` with exactly these strides: where a dimension is 1 others would pass, but might choose another kernel."""
    _, channels, height, width = x.shape
    strides = (channels * height * width, 1, channels * width, channels)
    return x.contiguous(memory_format=torch.channels_last).as_strided(x.shape, strides)


def _mix(into: Tensor, product: Tensor, decay: float, scale: float) -> None:
    if decay == 0:
        torch.mul(product, scale, out=into)
    else:
        into.mul_(decay).add_(product, alpha=scale)


def _sides(conv: nn.Conv2d) -> list[tuple[int, int]]:
    """How much `conv` pads before and after each spatial dimension."""
    if isinstance(conv.padding, str):
        totals = [
            d * (k - 1) if conv.padding == "same" else 0 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    return [(side, side) for side in conv.padding]


SYNAPSES: dict[type[nn.Module], type[LinearSynapse] | type[ConvSynapse]] = {
    nn.Linear: LinearSynapse,
    nn.Conv2d: ConvSynapse,
}
