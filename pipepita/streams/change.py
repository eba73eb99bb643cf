"""What a drift is: a change of a stream, from some item on, at once or gradually."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from pipepita.errors import UserError
from pipepita.randomness import generator
from pipepita.streams.items import Item
from pipepita.streams.stream import Stream

Change = Callable[[Tensor, int, float], Item]  # x, y and the share of the change, above 0, at most 1


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A change of a stream from item `start` on (counted from 0); gradual until `end`, from which on it is complete.

    In between, the share of item i is (i - start) / (end - start): the probability with which the item is changed,
    drawn by seed; or, where the kind grows, how far each item is changed.
    """

    start: int
    end: int | None = None
    example: ClassVar[str]
    grows: ClassVar[bool] = False
    selects: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.start < 0 or (self.end is not None and self.end <= self.start) or not self.valid():
            raise UserError(f"{self} cannot be: write a drift like {self.example}")

    def valid(self) -> bool:
        """Whether its own values can be."""
        return True

    @classmethod
    def read(cls, argument: str, start: int, end: int | None) -> Self:
        """The drift of a text's parts; `ValueError` for an argument that does not fit."""
        if argument:
            raise ValueError
        return cls(start=start, end=end)

    @property
    def label(self) -> str:
        """What marks call it."""
        return self.example.partition("@")[0].partition(":")[0]

    def check(self, stream: Stream) -> None:
        """`UserError` if it cannot be applied to `stream`."""

    def marks(self, stream: Stream) -> list[tuple[int, str]]:
        """Where it begins, and where a gradual one is complete."""
        if self.end is None:
            return [(self.start, self.label)]
        return [(self.start, f"{self.label} begins"), (self.end, f"{self.label} complete")]

    def begin(self, stream: Stream, seed: int, place: int) -> Change:
        """What changes an item. place: of the drift among others, so that two of a kind draw differently."""
        raise NotImplementedError

    def run(self, stream: Stream, seed: int, place: int) -> Iterator[Item]:
        """The items of `stream`, changed."""
        change, start, end = self.begin(stream, seed, place), self.start, self.end
        coin = generator(seed, "drift coin", place)
        for index, (x, y) in enumerate(stream):
            if index < start:
                yield x, y
                continue
            share = 1.0 if end is None or index >= end else (index - start) / (end - start)
            if share < 1 and not self.grows:
                share = float(torch.rand((), generator=coin) < share)
            yield change(x, y, share) if share else (x, y)
