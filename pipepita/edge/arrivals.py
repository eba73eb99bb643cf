"""When samples arrive, and the bounded queue in which they wait until the pipeline takes them."""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from pipepita.errors import UserError, unknown

PROCESSES = ("poisson", "fixed")
POLICIES = ("block", "drop-newest", "drop-oldest")


class Taken(NamedTuple):
    """A sample that entered the pipeline.

    Attributes:
        number: Which of the arriving samples it is, from 0.
        arrived, entered: When, in seconds.
    """

    number: int
    arrived: float
    entered: float


def times(rate: float, process: str, seed: int | str) -> Iterator[float]:
    """When samples arrive, in seconds from 0, without end.

    Args:
        rate: Samples per second, on average.
        process: One of `PROCESSES`.
        seed: Of the Poisson process.

    Raises:
        UserError: The rate is not above 0, or the process is unknown.

    Example:
        >>> arrivals = times(10, "fixed", seed=0)
        >>> next(arrivals), next(arrivals)
        (0.1, 0.2)
    """
    if process not in PROCESSES:
        raise unknown("arrivals", process, PROCESSES)
    if not 0 < rate < math.inf:
        raise UserError(f"rate {rate:g} is not a number of samples per second above 0")
    return _times(rate, process, random.Random(f"{seed} arrivals"))


def _times(rate: float, process: str, draw: random.Random) -> Iterator[float]:
    now = 0.0
    for count in itertools.count(1):
        now = now + draw.expovariate(rate) if process == "poisson" else count / rate
        yield now


class Queue:
    """The queue in which `samples` samples wait before they enter.

    Args:
        arrivals: When samples arrive; None for a source that makes a sample whenever one is wanted.
        samples: How many samples arrive.
        size: How many samples can wait.
        policy: What happens if a sample arrives at a full queue. "block" lets the source wait, so that nothing is lost;
            "drop-newest" drops the sample that arrives; "drop-oldest" drops the one that waited longest.

    Attributes:
        dropped: The numbers of the samples that were dropped.

    Raises:
        UserError: The policy is unknown, or the size is below 1.
    """

    def __init__(self, arrivals: Iterator[float] | None, samples: int, size: int, policy: str) -> None:
        if policy not in POLICIES:
            raise unknown("queue policy", policy, POLICIES)
        if size < 1:
            raise UserError(f"queue {size}: it must hold at least 1 sample")
        self._arrivals, self._samples, self._size, self._policy = arrivals, samples, size, policy
        self._waiting: deque[tuple[int, float]] = deque()
        self._offered = 0
        self._next = 0.0 if arrivals is None else next(arrivals)
        self.dropped: list[int] = []

    def take(self, now: float) -> Taken | None:
        """The next sample that enters, for a pipeline that is ready at `now`; None after the last sample.

        If no sample is there, the next one that arrives enters. now: in seconds, never before that of an earlier call.
        """
        self._pass_time(now)
        if self._waiting:
            index, arrived = self._waiting.popleft()
            return Taken(index, arrived, now)
        if self._offered == self._samples:
            return None
        arrived = self._next
        self._arrive()
        index, _ = self._waiting.popleft()
        return Taken(index, arrived, max(now, arrived))

    def arrival(self, now: float) -> float:
        """When a sample is there that can enter from `now` on, in seconds; `now` itself if no more will come."""
        self._pass_time(now)
        return now if self._waiting or self._offered == self._samples else self._next

    def _pass_time(self, now: float) -> None:
        """Samples arrive until `now`."""
        if self._arrivals is None and self._offered < self._samples:
            self._next = now
        while self._offered < self._samples and self._next <= now and self._room():
            self._arrive()

    def _room(self) -> bool:
        if self._arrivals is None:
            return not self._waiting
        return self._policy != "block" or len(self._waiting) < self._size

    def _arrive(self) -> None:
        if len(self._waiting) == self._size:
            if self._policy == "drop-newest":
                self.dropped.append(self._offered)
                self._count()
                return
            self.dropped.append(self._waiting.popleft()[0])
        self._waiting.append((self._offered, self._next))
        self._count()

    def _count(self) -> None:
        self._offered += 1
        if self._arrivals is not None:
            self._next = next(self._arrivals)
