"""Drifts of the classes: labels that are exchanged, and classes that come in groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch

from pipepita.errors import RunError, UserError
from pipepita.randomness import generator
from pipepita.streams.change import Change, Drift
from pipepita.streams.items import Item
from pipepita.streams.stream import Stream

_MOST_SKIPPED = 100_000


def _check_classes(label: str, stream: Stream) -> None:
    if stream.regression:
        raise UserError(f"drift {label}: the labels of {stream.name} are numbers, and not classes")


@dataclass(frozen=True, kw_only=True)
class Remap(Drift):
    """Labels are exchanged: the two of `pair`; or, without a pair, all of them in a circle drawn by seed."""

    pair: tuple[int, int] | None = None
    example = "remap@5000, remap:3-5@5000 or remap@5000-7000"

    def valid(self) -> bool:
        return self.pair is None or (self.pair[0] != self.pair[1] and min(self.pair) >= 0)

    @classmethod
    def read(cls, argument: str, start: int, end: int | None) -> Self:
        one, dash, other = argument.partition("-")
        return cls(pair=(int(one), int(other)) if argument or dash else None, start=start, end=end)

    @property
    def label(self) -> str:
        return "remap" if self.pair is None else f"remap:{self.pair[0]}-{self.pair[1]}"

    def check(self, stream: Stream) -> None:
        _check_classes(self.label, stream)
        if self.pair is not None and max(self.pair) >= stream.classes:
            raise UserError(f"drift {self.label}: classes of {stream.name} go from 0 to {stream.classes - 1}")

    def begin(self, stream: Stream, seed: int, place: int) -> Change:
        table = list(range(stream.classes))
        if self.pair is None:
            circle = torch.randperm(stream.classes, generator=generator(seed, "drift remap", place)).tolist()
            for label, following in zip(circle, circle[1:] + circle[:1], strict=True):
                table[label] = following
        else:
            one, other = self.pair
            table[one], table[other] = other, one
        return lambda x, y, share: (x, table[y])  # type: ignore[index]


@dataclass(frozen=True, kw_only=True)
class Classes(Drift):
    """Classes come in groups of `size`, in their order: one group alone for `start` items, then the next one alone.

    After the last group all classes come together. Items of other classes are skipped, so that a finite source ends
    sooner. A hundred thousand skipped items in a row are a `RunError`.
    """

    size: int
    example = "classes:2@3000"
    selects = True

    def valid(self) -> bool:
        return self.size >= 1 and self.start >= 1 and self.end is None

    @classmethod
    def read(cls, argument: str, start: int, end: int | None) -> Self:
        return cls(size=int(argument), start=start, end=end)

    @property
    def label(self) -> str:
        return f"classes:{self.size}"

    def check(self, stream: Stream) -> None:
        _check_classes(self.label, stream)
        if self.size >= stream.classes:
            raise UserError(f"drift {self.label}: {stream.name} has {stream.classes} classes: name a smaller group")

    def marks(self, stream: Stream) -> list[tuple[int, str]]:
        groups = [range(first, min(first + self.size, stream.classes)) for first in range(0, stream.classes, self.size)]
        labels = [f"classes {', '.join(map(str, group))}" for group in groups] + ["all classes"]
        return [(place * self.start, label) for place, label in enumerate(labels) if place]

    def run(self, stream: Stream, seed: int, place: int) -> Iterator[Item]:
        groups, given, skipped = -(-stream.classes // self.size), 0, 0
        for x, y in stream:
            group = given // self.start
            if group >= groups or y // self.size == group:  # type: ignore[operator]
                given, skipped = given + 1, 0
                yield x, y
            elif (skipped := skipped + 1) == _MOST_SKIPPED:
                raise RunError(
                    f"{stream.name}: {skipped} items in a row are not of group {group} of drift {self.label}"
                )
