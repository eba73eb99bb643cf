"""Inputs with mean 0 and standard deviation 1, by figures that belong to the network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from pipepita.errors import UserError

Shape = tuple[int, ...]
BLOCK = 16  # items whose figures are taken at once


class Standardize(nn.Module):
    """Subtracts a mean from every item and divides it by a standard deviation: of each channel, or of each feature.

    It stands in front of the first layer and does not learn. Its figures are buffers, so they are saved with the
    network's weights, and are part of `weights_sha256`.

    Args:
        shape: The shape of the figures: (channels, 1, 1) for images, (features,) for flat items. They are 0 and 1 at
            first; `of` takes them from items.

    Attributes:
        shape: As above.
        mean: What is subtracted, of that shape, float32.
        std: What is divided by, of that shape, float32.

    Example:
        >>> items = torch.rand(100, 3, 8, 8) * 5
        >>> standardize = Standardize.of(items)
        >>> standardize.mean.shape
        torch.Size([3, 1, 1])
        >>> bool(standardize(items).mean().abs() < 1e-5)
        True
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("std", torch.ones(self.shape))

    @classmethod
    def of(cls, items: Tensor | Iterable[Tensor]) -> Standardize:
        """With the mean and the standard deviation of `items`, (N, channels, height, width) or (N, *item_shape).

        What never varies, like a pixel that is always black, is only shifted. The figures are taken in one pass and in
        double precision, a block after the other (Chan, Golub and LeVeque 1979), so not all items need be in memory.

        Args:
            items: All items; or blocks of them, in which case the last bits of the figures depend on the size of the
                blocks. A tensor is taken in blocks of `BLOCK`.

        Raises:
            UserError: There are no items.
        """
        count, mean, square = 0, torch.zeros(()), torch.zeros(())  # square: the sum of squared deviations
        for block in items.split(BLOCK) if isinstance(items, Tensor) else items:
            dims = (0, 2, 3) if block.ndim == 4 else (0,)
            more = math.prod(block.shape[dim] for dim in dims)
            variance, middle = torch.var_mean(block.double(), dims, correction=0, keepdim=True)
            if not more:
                continue
            all_, shift = count + more, middle - mean
            square = square + variance * more + shift.square() * (count * more / all_)
            mean, count = mean + shift * (more / all_), all_
        if not count:
            raise UserError("standardize: there are no items to take the mean of")
        std = (square / count).sqrt()
        made = cls(mean.shape[1:])
        made.mean.copy_(mean[0])
        made.std.copy_(torch.where(std > 0, std, 1.0)[0])
        return made

    def check(self, shape: Shape, name: str) -> None:
        """`UserError` if the figures do not fit items of `shape`. name: of this module in its network."""
        last = shape[len(shape) - len(self.shape) :]
        if len(self.shape) > len(shape) or any(
            mine not in (1, one) for mine, one in zip(self.shape, last, strict=True)
        ):
            raise UserError(f"module {name} has figures of shape {self.shape}, which do not fit items of shape {shape}")

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def extra_repr(self) -> str:
        return f"shape={self.shape}"
