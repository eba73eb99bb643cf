"""What a drift is: a change of a stream from some item on, at once or gradually."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from pipepita.errors import UserError
from pipepita.randomness import generator
from pipepita.streams.items import Item, Label
from pipepita.streams.stream import Stream

# from x, y and the share of the change (above 0, at most 1) to the changed item
Change = Callable[[Tensor, Label, float], Item]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A change of a stream. A drift of your own inherits from it and is one entry in `drift.DRIFTS`.

    The change is complete from item `end` on, or from `start` on if there is no end. In between, the share of item i is
    (i - start) / (end - start). Of a drift that grows, it is how far the item is changed; of any other, the probability
    that it is changed, drawn by seed.

    Attributes:
        start: The first item that may change, from 0.
        end: The item from which on a gradual change is complete; None for a change at once.
        example: How such a drift is written, for errors.
        grows: Whether the share says how far each item is changed.
        selects: Whether the drift chooses which items come, instead of changing them.

    Raises:
        UserError: Its values make no such drift.

    Example:
        >>> from pipepita.streams import as_stream, drifted
        >>> class Invert(Drift):
        ...     example = "invert@100"
        ...     def begin(self, stream, seed, place):
        ...         return lambda x, y, share: (1 - x, y)
        >>> stream = drifted(as_stream([([0.25], 0), ([0.25], 1)]), [Invert(start=1)])
        >>> [x.item() for x, y in stream], stream.marks
        ([0.25, 0.75], [(1, 'invert')])
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
        """Whether the values of its own fields make sense."""
        return True

    @classmethod
    def read(cls, argument: str, start: int, end: int | None) -> Self:
        """The drift that a text describes; `ValueError` if its argument does not fit."""
        if argument:
            raise ValueError
        return cls(start=start, end=end)

    @property
    def label(self) -> str:
        """What plots call it."""
        return self.example.partition("@")[0].partition(":")[0]

    def check(self, stream: Stream) -> None:
        """`UserError` if it cannot be applied to `stream`."""

    def marks(self, stream: Stream) -> list[tuple[int, str]]:
        """(index, label) of where it begins, and of where a gradual one is complete."""
        if self.end is None:
            return [(self.start, self.label)]
        return [(self.start, f"{self.label} begins"), (self.end, f"{self.label} complete")]

    def begin(self, stream: Stream, seed: int, place: int) -> Change:
        """The function that changes an item.

        place: Which of the stream's drifts it is, from 0, so that two of a kind draw differently.
        """
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
