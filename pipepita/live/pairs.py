"""Items of a stream or of any iterable, one after the other or at a rate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from torch import Tensor

from pipepita.live.inbox import Inbox
from pipepita.live.items import Given
from pipepita.streams.items import Item


class Pairs:
    """Items of an iterable of (x, y), which have been checked; y may be None.

    times: when they arrive, in seconds from the beginning; None for as soon as they are taken. first: the number of the
    first item.
    """

    def __init__(
        self,
        items: Iterable[Item | tuple[Tensor, None]],
        times: Iterator[float] | None = None,
        first: int = 0,
    ) -> None:
        self._items, self._closed, self._first, self._times = items, False, first, times

    def feed(self, inbox: Inbox) -> None:
        began = time.perf_counter()
        for number, (x, y) in enumerate(self._items, self._first):
            if self._times is not None:
                due = began + next(self._times)
                while not self._closed and (left := due - time.perf_counter()) > 0:
                    time.sleep(min(left, 0.1))
            if self._closed or not inbox.put(Given(None, x, y, time.perf_counter(), number)):
                return

    def close(self) -> None:
        self._closed = True
