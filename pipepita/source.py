"""Where the coordinator's samples come from: stored items in a shuffled order here, live ones in `pipepita.edge`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

Sample = tuple[Tensor, Tensor]


class Source(Protocol):
    """Samples, each (items, labels): (B, *item_shape) float32 and (B,) int64."""

    def take(self) -> Sample | None:
        """The next sample, waiting for it if need be; None where there is none any more."""

    def ahead(self) -> None:
        """The sample is on its way: time to get the next one ready."""

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Sample `step`'s output, (B, classes), came at `there`, seconds of this host's clock.

        Returns once its labels may be used.
        """


class Stored:
    """Mini-batches of items in memory, in the order of `order`; the last may be short."""

    def __init__(self, x: Tensor, y: Tensor, order: Tensor, batch_size: int) -> None:
        self._samples = batches(x, y, order, batch_size)
        self._next = next(self._samples, None)

    def take(self) -> Sample | None:
        return self._next

    def ahead(self) -> None:
        self._next = next(self._samples, None)

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Labels are there from the start."""


def batches(x: Tensor, y: Tensor, order: Tensor, batch_size: int) -> Iterator[Sample]:
    """`x` and `y` in `order`, `batch_size` at a time."""
    for start in range(0, len(x), batch_size):
        chosen = order[start : start + batch_size]
        yield x.index_select(0, chosen), y[chosen]  # copies: their alignment does not depend on where they lay
