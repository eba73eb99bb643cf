"""Where the coordinator's samples come from: stored items in a shuffled order here, live ones in `pipepita.edge`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from pipepita.randomness import generator

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
    """Mini-batches of items in memory, in the order of `order`; the last may be short.

    first, last: only the mini-batches from `first` until before `last`, counted from 0.
    """

    def __init__(
        self, x: Tensor, y: Tensor, order: Tensor, batch_size: int, first: int = 0, last: int | None = None
    ) -> None:
        stop = None if last is None else last * batch_size
        self._samples = batches(x, y, order[first * batch_size : stop], batch_size)
        self._next = next(self._samples, None)

    def take(self) -> Sample | None:
        return self._next

    def ahead(self) -> None:
        self._next = next(self._samples, None)

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Labels are there from the start."""


class Kept:
    """A live source whose samples can be learnt from again: keeps those that came since the last `mark`.

                 mark ........ a fault     again                mark
    source       s4 s5 s6 s7                          s8 s9
    samples      s4 s5 s6 s7               s4 s5 s6 s7 s8 s9    s10 ...

    limit: how many samples until the next `mark`, after which there are none for now; None: until the source ends.
    """

    def __init__(self, source: Source, limit: int | None = None) -> None:
        self._source, self._limit = source, limit
        self._kept: list[Sample] = []
        self._given, self._fresh = 0, False
        self._answered = -1  # the last sample whose output the source has been told
        self.ended = False

    def mark(self) -> None:
        """All that was given out has been learnt for good."""
        self._kept, self._given = self._kept[self._given :], 0

    def again(self) -> None:
        """Back to the last `mark`."""
        self._given = 0

    def take(self) -> Sample | None:
        if self._limit is not None and self._given == self._limit:
            return None
        if self._given == len(self._kept):
            sample = self._source.take()
            if sample is None:
                self.ended = True
                return None
            self._kept.append(sample)
            self._fresh = True
        self._given += 1
        return self._kept[self._given - 1]

    def ahead(self) -> None:
        if self._fresh:  # once a sample: what is given again has been got ready for before
            self._fresh = False
            self._source.ahead()

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Passed on once a sample: what is learnt from again has been predicted before."""
        if step > self._answered:
            self._source.answer(step, output, there)
            self._answered = step


def shuffled(items: int, seed: int, epoch: int) -> Tensor:
    """The order of the items in `epoch`, drawn from (seed, epoch): (items,) int64."""
    return torch.randperm(items, generator=generator(seed, "shuffle", epoch))


def batches(x: Tensor, y: Tensor, order: Tensor, batch_size: int) -> Iterator[Sample]:
    """`x` and `y` in `order`, `batch_size` at a time."""
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        yield x.index_select(0, chosen), y[chosen]  # copies: their alignment does not depend on where they lay
