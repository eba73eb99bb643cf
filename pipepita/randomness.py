"""Randomness is drawn from (seed, purpose, place), never from a global generator.

So a dropout mask is the same whichever process draws it, and no draw depends on another.
"""

from __future__ import annotations

import hashlib

import torch


def number(seed: int, purpose: str, *place: int) -> int:
    """A number of 63 bits for one purpose ("weights", "feedback", "dropout", "shuffle") at one place (layer, step)."""
    digest = hashlib.blake2b(repr((seed, purpose, *place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, purpose: str, *place: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator, seeded with the `number` for this purpose and place.

    Example:
        >>> one, again, other = (uniform((4,), 0.5, generator(0, "feedback", layer)) for layer in (1, 1, 2))
        >>> torch.equal(one, again), torch.equal(one, other)
        (True, False)
    """
    return torch.Generator(device).manual_seed(number(seed, purpose, *place))


def uniform(shape: tuple[int, ...], bound: float, source: torch.Generator) -> torch.Tensor:
    """A float32 tensor of `shape`, uniform in [-bound, bound]."""
    return torch.empty(shape).uniform_(-bound, bound, generator=source)
