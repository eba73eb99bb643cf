"""Drifts of the inputs: images that turn, pixels in another order, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from pipepita.errors import UserError
from pipepita.randomness import generator
from pipepita.streams.change import Change, Drift
from pipepita.streams.items import Item, Label
from pipepita.streams.stream import Stream


@dataclass(frozen=True, kw_only=True)
class Rotate(Drift):
    """Images turn anticlockwise about their middle, as in `torch.rot90`.

    Pixels are interpolated bilinearly; what comes in from outside is 0. A gradual turn grows in steps of one degree.
    """

    degrees: float
    example = "rotate:90@5000 or rotate:-30@5000-7000"
    grows = True

    def valid(self) -> bool:
        return 0 < abs(self.degrees) < 360

    @classmethod
    def read(cls, argument: str, start: int, end: int | None) -> Self:
        return cls(degrees=float(argument), start=start, end=end)

    @property
    def label(self) -> str:
        return f"rotate:{self.degrees:g}"

    def check(self, stream: Stream) -> None:
        if len(stream.item_shape) not in (2, 3):
            raise UserError(f"drift {self.label} turns images: items of {stream.name} have shape {stream.item_shape}")

    def begin(self, stream: Stream, seed: int, place: int) -> Change:
        shape, grids = stream.item_shape, dict[float, Tensor]()
        planes = (1, math.prod(shape[:-2]), *shape[-2:])

        def change(x: Tensor, y: Label, share: float) -> Item:
            angle = self.degrees if share == 1 else round(self.degrees * share)
            if angle not in grids:
                grids[angle] = _grid(angle, *shape[-2:])
            return grid_sample(x.reshape(planes), grids[angle], align_corners=False).view(shape), y

        return change


def _grid(degrees: float, height: int, width: int) -> Tensor:
    """Where each pixel of the turned image lies in the original, in the coordinates of `grid_sample`."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    down = (torch.arange(height, dtype=torch.float64) - (height - 1) / 2).unsqueeze(1)
    right = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2).unsqueeze(0)
    x, y = cosine * right - sine * down, sine * right + cosine * down
    return torch.stack((2 * x / width, 2 * y / height), -1).unsqueeze(0).to(torch.float32)


@dataclass(frozen=True, kw_only=True)
class Permute(Drift):
    """The pixels of an image, or the features of a vector, come in another order, drawn once by seed.

    All channels of an image get the same order.
    """

    example = "permute@4000 or permute@4000-6000"

    def check(self, stream: Stream) -> None:
        if math.prod(stream.item_shape) // _channels(stream) < 2:
            raise UserError(f"drift permute: items of {stream.name} hold one number: permute needs at least two")

    def begin(self, stream: Stream, seed: int, place: int) -> Change:
        shape, channels = stream.item_shape, _channels(stream)
        unchanged = order = torch.arange(math.prod(shape) // channels)
        draw = 0
        while order.equal(unchanged):  # two features would often stay as they are
            order = torch.randperm(len(unchanged), generator=generator(seed, "drift permute", place, draw))
            draw += 1
        return lambda x, y, share: (x.reshape(channels, -1).index_select(1, order).view(shape), y)


def _channels(stream: Stream) -> int:
    return stream.item_shape[0] if len(stream.item_shape) > 2 else 1


@dataclass(frozen=True, kw_only=True)
class Noise(Drift):
    """Gaussian noise of standard deviation `std` is added, without clipping. A gradual one grows."""

    std: float
    example = "noise:0.5@2000 or noise:0.5@2000-4000"
    grows = True

    def valid(self) -> bool:
        return 0 < self.std < math.inf

    @classmethod
    def read(cls, argument: str, start: int, end: int | None) -> Self:
        return cls(std=float(argument), start=start, end=end)

    @property
    def label(self) -> str:
        return f"noise:{self.std:g}"

    def begin(self, stream: Stream, seed: int, place: int) -> Change:
        source, shape = generator(seed, "drift noise", place), stream.item_shape
        return lambda x, y, share: (torch.randn(shape, generator=source).mul_(self.std * share).add_(x), y)
