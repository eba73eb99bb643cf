"""Inputs with mean 0 and standard deviation 1, by figures that belong to the network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


class Standardize(nn.Module):
    """Subtracts a mean from every item and divides it by a standard deviation: of each channel, or of each feature.

    It stands in front of the first layer and does not learn. Its figures are buffers, so they are saved with the
    network's weights, and are part of `weights_sha256`.

    Args:
        shape: The shape of the figures: (channels, 1, 1) for images, (features,) for flat items. They are 0 and 1 at
            first; `of` takes them from items.

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
    def of(cls, items: Tensor) -> Standardize:
        """With the mean and the standard deviation of `items`, (N, channels, height, width) or (N, *item_shape).

        What never varies, like a pixel that is always black, is only shifted.
        """
        dims = (0, 2, 3) if items.ndim == 4 else (0,)
        std, mean = torch.std_mean(items.double(), dims, correction=0, keepdim=True)
        made = cls(mean.shape[1:])
        made.mean.copy_(mean[0])
        made.std.copy_(torch.where(std > 0, std, 1.0)[0])
        return made

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def extra_repr(self) -> str:
        return f"shape={self.shape}"
