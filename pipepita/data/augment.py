"""Random changes of training images, by which a network learns what does not matter in them.

Each image of a batch is changed on its own. (The transforms of torchvision change a whole batch alike, and draw from a
global generator.) What is drawn depends on (seed, epoch, sample), so it is the same from every engine, after a
resume, and whoever reads the items. A new change is one function here, and one entry in `CHANGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from pipepita.errors import UserError, unknown
from pipepita.randomness import generator

_MOST = 1 << 10


def crop(x: Tensor, by: int, source: torch.Generator) -> Tensor:
    """Moves each image of (B, C, H, W) by up to `by` pixels, down or up and right or left; zeros come in.

    The same as padding it with `by` zeros on each side and cropping it at random, as for CIFAR in He et al. 2016.
    """
    rows, columns = torch.randint(2 * by + 1, (2, len(x)), generator=source)
    windows = functional.pad(x, (by, by, by, by)).unfold(2, x.shape[2], 1).unfold(3, x.shape[3], 1)
    return windows[torch.arange(len(x)), :, rows, columns]


def flip(x: Tensor, by: int, source: torch.Generator) -> Tensor:
    """Mirrors each image of (B, C, H, W) left to right, or does not, with equal chances."""
    mirrored = torch.rand(len(x), generator=source) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


# by name: the change, and whether it takes a number
CHANGES: dict[str, tuple[Callable[[Tensor, int, torch.Generator], Tensor], bool]] = {
    "crop": (crop, True),
    "flip": (flip, False),
}


@dataclass(frozen=True)
class Augment:
    """Changes that are applied one after the other.

    Args:
        text: As `parse` reads it.
        changes: The name and the number of each.

    Example:
        >>> change = parse("crop:2,flip")
        >>> x = torch.rand(3, 1, 8, 8)
        >>> changed = change(x, seed=0, epoch=1, sample=0)
        >>> changed.shape, torch.equal(changed, change(x, seed=0, epoch=1, sample=0))
        (torch.Size([3, 1, 8, 8]), True)
    """

    text: str
    changes: tuple[tuple[str, int], ...]

    def __call__(self, x: Tensor, seed: int, epoch: int, sample: int) -> Tensor:
        """The images of a sample, changed: a copy.

        Args:
            x: (B, channels, height, width), float32.
            seed: What is drawn, is drawn from (seed, the name of the change, epoch, sample).
            epoch: The epoch, from 1.
            sample: The number of the sample in the epoch, from 0.
        """
        for name, by in self.changes:
            x = CHANGES[name][0](x, by, generator(seed, f"augment {name}", epoch, sample))
        return x

    def check(self, item_shape: tuple[int, ...], name: str) -> None:
        """`UserError` if items of this shape cannot be changed so. name: of the data."""
        if len(item_shape) != 3:
            raise UserError(
                f"augment {self.text!r} is for images (channels, height, width): items of {name} are {item_shape}"
            )
        for change, by in self.changes:
            if by >= min(item_shape[1:]):
                raise UserError(
                    f"augment '{change}:{by}': {by} pixels are too many for images of {item_shape[1]} x {item_shape[2]}"
                )


@lru_cache
def parse(text: str) -> Augment:
    """Reads changes like "crop:4,flip".

    Raises:
        UserError: A change is unknown or comes twice, or its number is missing or wrong.
    """
    changes = []
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        if name not in CHANGES:
            raise unknown("augment", name, CHANGES)
        if bool(colon) != CHANGES[name][1] or (colon and not (number.isdecimal() and 0 < int(number) < _MOST)):
            right = f"{name}:N with a whole number of pixels, like {name}:4" if CHANGES[name][1] else f"{name} alone"
            raise UserError(f"augment {part.strip()!r}: write {right}")
        changes.append((name, int(number or 0)))
    if len({name for name, _ in changes}) < len(changes):
        raise UserError(f"augment {text!r} holds a change twice: give each once")
    return Augment(text, tuple(changes))
