"""The modules of a vectorised network: maps whose weights all classes share, and gates. See `vectorized`.

A map folds the classes into the batch, so a class is to it what an item is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipepita.network.synapse import ConvSynapse, LinearSynapse, Shape

Pair = tuple[int, int]


class SharedLinear(nn.Linear):
    """A linear map of `inputs` to `units` units, each of which holds one number per class.

    It takes (B, classes * inputs) and makes (B, classes * units), class by class. The weight is (units, inputs).

    Args:
        classes: How many classes there are.
        inputs: How many units it takes.
        units: How many units it has.

    Example:
        >>> SharedLinear(3, 4, 5)(torch.zeros(2, 12)).shape
        torch.Size([2, 15])
    """

    def __init__(self, classes: int, inputs: int, units: int) -> None:
        super().__init__(inputs, units, bias=False)
        self.classes, self.inputs, self.units = classes, inputs, units
        self.in_features, self.out_features = classes * inputs, classes * units

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.view(-1, self.inputs)).view(len(input), -1)


class SharedConv2d(nn.Conv2d):
    """A convolution of `inputs` to `units` channels, each of which holds one number per class and position.

    It takes (B, classes * inputs, height, width), class by class, and makes (B, classes * units, ...).

    Args:
        classes: How many classes there are.
        inputs: How many channels it takes.
        units: How many channels it has.
        kernel_size: As in `nn.Conv2d`, like the others.
        stride: As there.
        padding: As there.
        dilation: As there.
    """

    def __init__(
        self, classes: int, inputs: int, units: int, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        super().__init__(inputs, units, kernel_size, stride, padding, dilation, bias=False)
        self.classes, self.inputs, self.units = classes, inputs, units
        self.in_channels, self.out_channels = classes * inputs, classes * units

    def forward(self, input: Tensor) -> Tensor:
        folded = input.reshape(-1, self.inputs, *input.shape[2:])
        made = self._conv_forward(folded, self.weight, None)
        return made.reshape(len(input), -1, *made.shape[2:])


class Gate(nn.Module):
    """Lets all numbers of a unit pass, h = a, if t . a >= 0, and else none, h = 0.

    The numbers lie class by class: (B, classes * units), or (B, classes * units, height, width).

    Args:
        classes: How many classes there are.
        units: How many units (or channels) there are.

    Attributes:
        signs: t of each unit, (classes, units), of 1 and -1. `vectorized.draw` draws them.

    Example:
        >>> gate = Gate(classes=2, units=2)  # all signs are 1
        >>> gate(torch.tensor([[1.0, 2.0, 1.0, -3.0]]))  # unit 1: (1, 1), unit 2: (2, -3)
        tensor([[1., 0., 1., -0.]])
    """

    signs: Tensor

    def __init__(self, classes: int, units: int) -> None:
        super().__init__()
        self.classes, self.units = classes, units
        self.register_buffer("signs", torch.ones(classes, units))

    def forward(self, a: Tensor) -> Tensor:
        numbers = a.reshape(len(a), self.classes, self.units, *a.shape[2:])
        signs = self.signs.view(self.classes, self.units, *(1 for _ in a.shape[2:]))
        passes = ((numbers.detach() * signs).sum(1, keepdim=True) >= 0).to(a.dtype)
        return (numbers * passes).reshape(a.shape)

    def extra_repr(self) -> str:
        return f"classes={self.classes}, units={self.units}"


class SharedLinearSynapse(LinearSynapse):
    """`SharedLinear`."""

    module: SharedLinear

    def _folded(self, x: Tensor) -> Tensor:
        return x.reshape(len(x) * self.module.classes, -1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self._folded(x)).view(len(x), -1)

    def drive(self, x: Tensor, onto: Tensor) -> Tensor:
        super().drive(self._folded(x), onto.view(len(onto) * self.module.classes, -1))
        return onto

    def through(self, basis: Tensor) -> Tensor:
        return super().through(self._folded(basis)).view(len(basis), -1)

    def forward_and_through(self, x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(x), self.through(basis)

    def back(self, post: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        return super().back(self._folded(post), weight, shape).view(shape)

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        # averaged over the items, but summed over the classes
        super().accumulate(self._folded(post), self._folded(pre), into, decay, scale * self.module.classes)

    def multiplications(self, out_shape: Shape) -> int:
        return super().multiplications(out_shape) * self.module.classes


class SharedConvSynapse(ConvSynapse):
    """`SharedConv2d`."""

    module: SharedConv2d

    def _folded(self, x: Tensor) -> Tensor:
        return x.reshape(len(x) * self.module.classes, -1, *x.shape[2:])

    def _unfolded(self, x: Tensor) -> Tensor:
        return x.reshape(len(x) // self.module.classes, -1, *x.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        return self._unfolded(super().forward(self._folded(x)))

    def drive(self, x: Tensor, onto: Tensor) -> Tensor:
        return onto.add_(self._unfolded(self._convolve(self._folded(x), None)))

    def through(self, basis: Tensor) -> Tensor:
        return self._unfolded(self._convolve(self._folded(basis), None)).flatten(1)

    def mix(self, shares: Tensor, through: Tensor, onto: Tensor) -> Tensor:
        return onto.add_((shares @ through).view(onto.shape))

    def back(self, post: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        batch, channels, *sides = shape
        folded = (batch * self.module.classes, channels // self.module.classes, *sides)
        return self._unfolded(super().back(self._folded(post), weight, folded))

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        super().accumulate(self._folded(post), self._folded(pre), into, decay, scale * self.module.classes)

    def multiplications(self, out_shape: Shape) -> int:
        return super().multiplications(out_shape) * self.module.classes
