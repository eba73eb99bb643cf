"""The trainable linear maps: the multiplication by the weights, and the local product that updates them.

To add a kind of map, write one class and one entry in `synapses`.
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
    """A linear map with weights W, and perhaps a bias, that learns from products of post- and presynaptic activity.

    All tensors are float32. in_shape and out_shape are the shapes of one item before and after the map, without the
    batch of B items: (features,) or (channels, height, width).

    Attributes:
        module: The torch module that holds the weights.

    Example:
        >>> linear = LinearSynapse(nn.Linear(3, 2, bias=False).requires_grad_(False))
        >>> linear.forward(torch.ones(5, 3)).shape
        torch.Size([5, 2])
        >>> update = [torch.empty(2, 3)]
        >>> linear.accumulate(torch.ones(5, 2), torch.ones(5, 3), update, decay=0.0, scale=-1.0)
        >>> update[0].tolist()
        [[-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]]
    """

    module: nn.Linear | nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        """W x + bias: from the presynaptic activity, (B, *in_shape), to the pre-activation, (B, *out_shape)."""

    def drive(self, x: Tensor, onto: Tensor) -> Tensor:
        """Adds W x, without the bias, to `onto` in place.

        Args:
            x: (B, *in_shape).
            onto: (B, *out_shape).

        Returns:
            `onto`.
        """

    def through(self, basis: Tensor) -> Tensor:
        """W times each of C inputs, without the bias, in the form that `mix` takes.

        Args:
            basis: (C, *in_shape).

        Returns:
            A tensor with C rows.
        """

    def forward_and_through(self, x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        """`forward(x)` and `through(basis)`, in one multiplication that reads W once if that is faster."""

    def mix(self, shares: Tensor, through: Tensor, onto: Tensor) -> Tensor:
        """Adds W (shares @ basis) to `onto` in place, where `through` is `through(basis)`.

        W is multiplied with the C inputs of the basis instead of the B items of the batch, which is cheaper if C < B.

        Args:
            shares: (B, C): how much of each input of the basis each item holds.
            through: What `through` returned.
            onto: (B, *out_shape).

        Returns:
            `onto`.
        """

    def back(self, post: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        """The transposed map with other weights: weight^T post.

        Args:
            post: (B, *out_shape).
            weight: A tensor of W's shape.
            shape: (B, *in_shape), the shape of the result.

        Returns:
            A contiguous tensor of that shape.
        """

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        """into <- decay * into + scale * (post pre^T, averaged over the batch), in place. A bias gets post alone.

        For a convolution the product is averaged over the positions, too.

        Args:
            post: (B, *out_shape), postsynaptic.
            pre: (B, *in_shape), presynaptic.
            into: Tensors of the shapes of [weight] or [weight, bias]. With decay 0 their contents are ignored, so they
                may be uninitialised.
            decay: The factor of what is there already.
            scale: The factor of the product.
        """

    def check(self, shape: Shape) -> str | None:
        """Says why items of `shape` do not fit, to follow the name of the module; None if they fit."""

    def multiplications(self, out_shape: Shape) -> int:
        """How many multiplications the forward pass of one item takes."""


class LinearSynapse:
    """`nn.Linear`: dW = post^T pre / B (section 3.2 of the paper).

    The weight keeps its usual shape (out, in) but lies transposed in memory, as (in, out). That makes the forward pass
    on a CPU a fifth faster.
    """

    def __init__(self, module: nn.Linear) -> None:
        self.module = module
        module.weight.data = module.weight.data.t().contiguous().t()

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.module.weight.t(), self.module.bias
        # not F.linear, which does not notice how the weight lies in memory
        return torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)

    def drive(self, x: Tensor, onto: Tensor) -> Tensor:
        return onto.addmm_(x, self.module.weight.t())

    def through(self, basis: Tensor) -> Tensor:
        return torch.mm(basis, self.module.weight.t())

    def forward_and_through(self, x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.mm(torch.cat([x, basis]), self.module.weight.t())
        preactivation = both[: x.shape[0]]
        return preactivation if self.module.bias is None else preactivation.add_(self.module.bias), both[x.shape[0] :]

    def mix(self, shares: Tensor, through: Tensor, onto: Tensor) -> Tensor:
        return onto.addmm_(shares, through)

    def back(self, post: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        return torch.mm(post, weight)

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        scale = scale / post.shape[0]
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

    The product is that of the paper's section 3.3: post times input patches, summed over the positions of the image,
    divided by their number, and averaged over the batch. One convolution call computes it. All tensors are kept in the
    layout "channels last": on a CPU it makes convolutions three times and max pooling ten times as fast.
    """

    def __init__(self, module: nn.Conv2d) -> None:
        self.module = module
        module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        sides = _sides(module)
        symmetric = all(before == after for before, after in sides)
        if module.padding_mode == "zeros" and symmetric:
            self._padding, self._border = tuple(before for before, _ in sides), None
        else:  # padding that conv2d cannot do is done before it; F.pad counts from the last dimension
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
        # one call would have to join the inputs first: copying them costs more than reading a small weight twice
        return self.forward(x), self.through(basis)

    def mix(self, shares: Tensor, through: Tensor, onto: Tensor) -> Tensor:
        rows = onto.permute(0, 2, 3, 1)  # convolutions here return channels last, so this is flat without a copy
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
        """The transpose of the padding: values on the border are added to the places that they were copied from."""
        with torch.inference_mode(False), torch.enable_grad():
            inner = torch.zeros(shape, device=x.device, requires_grad=True)
            (arrived,) = torch.autograd.grad(self._padded(inner), inner, x.clone())
        return arrived

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        conv, scale = self.module, scale / (post.shape[0] * math.prod(post.shape[2:]))
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
    """`x` channels last, with exactly these strides.

    If a dimension is 1, other strides are valid too, but torch might choose another kernel for them.
    """
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
