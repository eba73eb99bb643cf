"""A live source that can be gone through again after a fault: it keeps what came since the last snapshot.

             mark ........ a fault     again                mark
feed         s4 s5 s6 s7                          s8 s9
samples      s4 s5 s6 s7               s4 s5 s6 s7 s8 s9    s10 ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from pipepita.pipeline.source import Taken


class Feeding(Protocol):
    """What can be read once: `feed.Feed` is one."""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""

    def waiting(self) -> bool:
        """Whether something waits."""

    def take(self) -> Taken | None:
        """The next sample; None if nothing came for a short while."""

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Gets the output of a sample with labels."""

    def predicted(self, output: Tensor, there: float) -> None:
        """Gets the output of a sample without labels."""


class Kept:
    """A source of samples that ends when it is time for a snapshot, and then goes on.

    Args:
        feed: What comes in.
        due: Whether it is time for a snapshot, or to stop, after so many samples since the last one.

    Attributes:
        ended: Whether the feed has no more samples.
    """

    def __init__(self, feed: Feeding, due: Callable[[int], bool]) -> None:
        self._feed, self._due = feed, due
        self._kept: list[Taken] = []  # samples with labels: nothing is learnt from the others
        self._given = 0
        self._answered = -1  # the last sample whose output the feed has got
        self._asked: deque[Taken] = deque()  # samples without labels whose outputs are still to come
        self._again: deque[Taken] = deque()  # those of them that are to be asked again
        self.ended = False

    def mark(self) -> None:
        """All samples that were returned are learnt for good: they need not be kept."""
        self._kept, self._given = self._kept[self._given :], 0

    def again(self) -> None:
        """Goes back to the last `mark`."""
        self._given, self._again = 0, self._asked.copy()

    def take(self) -> Taken | None:
        """The next sample; None at the end, and when it is time for a snapshot."""
        if self._again:
            return self._again.popleft()
        if self._given < len(self._kept):
            self._given += 1
            return self._kept[self._given - 1]
        while not self._due(self._given):
            if self._feed.over:
                self.ended = True
                return None
            if (sample := self._feed.take()) is None:
                continue
            if sample[1] is None:
                self._asked.append(sample)
            else:
                self._kept.append(sample)
                self._given += 1
            return sample
        return None

    def waiting(self) -> bool:
        """Whether `take` returns at once."""
        known = self._again or self._given < len(self._kept)
        return bool(known) or self._feed.waiting() or self._feed.over or self._due(self._given)

    def ahead(self) -> None:
        """Nothing can be prepared: the next item may not have arrived yet."""

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Passes an output on, once: not when its sample is learnt from again."""
        if step > self._answered:
            self._feed.answer(step, output, there)
            self._answered = step

    def predicted(self, output: Tensor, there: float) -> None:
        """Passes the output of a sample without labels on."""
        self._asked.popleft()
        self._feed.predicted(output, there)
