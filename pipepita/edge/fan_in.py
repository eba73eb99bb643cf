"""Several sources of samples that one chain learns from, each with its own rate and classes; and how stale each gets.

source 1 --- 20 per second, classes 0-4 ---+
source 2 ---- 5 per second, classes 5-9 ---+--> queue --> device 1 --> ...

All sources look at the same stream: of n sources, source p gets its items p, p + n, p + 2n and so on, or those of them
that are of its classes.
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipepita.edge.arrivals import Taken, times
from pipepita.errors import RunError, UserError
from pipepita.schedule.course import Arrival
from pipepita.streams import Item, Stream

_MOST_SKIPPED = 100_000
_CLASSES = re.compile(r"\d{1,6}(-\d{1,6})?(\+\d{1,6}(-\d{1,6})?)*")


@dataclass(frozen=True)
class Feeder:
    """One of several sources.

    Attributes:
        rate: Samples per second.
        classes: Only these; None for all.
    """

    rate: float
    classes: frozenset[int] | None = None


def read(text: str) -> list[Feeder]:
    """Sources, separated by commas: RATE or RATE:CLASSES, where classes are like 0-4 or 0-2+7. `UserError` otherwise.

    Example:
        >>> [one.rate for one in read("20:0-4,5:7+9")], sorted(read("20:0-4,5:7+9")[1].classes)
        ([20.0, 5.0], [7, 9])
    """
    return [_feeder(part.strip(), text) for part in text.split(",")]


def _feeder(part: str, text: str) -> Feeder:
    rate, colon, classes = part.partition(":")
    try:
        number = float(rate)
        if not 0 < number < 1e9 or (colon and not _CLASSES.fullmatch(classes)):
            raise ValueError
    except ValueError:
        raise UserError(
            f"sources {text!r}: {part!r} cannot be read: write rates and classes like 20:0-4,5:5-9"
        ) from None
    if not colon:
        return Feeder(number)
    chosen = set[int]()
    for group in classes.split("+"):
        first, _, last = group.partition("-")
        chosen |= set(range(int(first), int(last or first) + 1))
    if not chosen:
        raise UserError(f"sources {text!r}: {part!r} has no classes: write the smaller number first, like 0-4")
    return Feeder(number, frozenset(chosen))


def merged(
    feeders: Sequence[Feeder], process: str, seed: int, rate: float | None = None
) -> Iterator[tuple[float, int]]:
    """(when it arrives, in seconds from 0; its source, from 0) of each sample, without end.

    rate: samples per second of all sources together, if it is another one than theirs. Which sample is whose does not
    depend on it. `UserError` as in `arrivals.times`.
    """
    factor = 1.0 if rate is None else rate / sum(feeder.rate for feeder in feeders)

    def of(place: int, feeder: Feeder) -> Iterator[tuple[float, int]]:
        return ((time, place) for time in times(feeder.rate * factor, process, f"{seed} source {place}"))

    return heapq.merge(*(of(place, feeder) for place, feeder in enumerate(feeders)))


def fan_in(stream: Stream, feeders: Sequence[Feeder], process: str, seed: int, group: int = 1) -> Stream:
    """The items of all sources in the order in which they arrive. group: so many in a row are of one source.

    Raises:
        UserError: A source has a class that the stream does not have.
        RunError: While it is gone through: a hundred thousand items in a row are of no class of a source.
    """
    for number, feeder in enumerate(feeders, 1):
        wrong = [one for one in feeder.classes or () if one >= stream.classes or stream.regression]
        if wrong:
            right = "has numbers for labels" if stream.regression else f"has classes 0 to {stream.classes - 1}"
            raise UserError(f"source {number} has class {min(wrong)}, but {stream.name} {right}")

    def start() -> Iterator[Item]:
        own = [_own(stream, place, feeder, len(feeders)) for place, feeder in enumerate(feeders)]
        for _, place in merged(feeders, process, seed):
            items = list(itertools.islice(own[place], group))
            if len(items) < group:
                return
            yield from items

    return replace(stream, start=start, length=None)


def _own(stream: Stream, place: int, feeder: Feeder, sources: int) -> Iterator[Item]:
    skipped = 0
    for x, y in itertools.islice(stream, place, None, sources):
        if feeder.classes is None or y in feeder.classes:
            skipped = 0
            yield x, y
        elif (skipped := skipped + 1) == _MOST_SKIPPED:
            raise RunError(f"{stream.name}: {skipped} items in a row are of no class of source {place + 1}")


@dataclass(frozen=True)
class Share:
    """How one source fares. A figure is NaN where there is nothing to count.

    Attributes:
        offered, served: How many of its samples arrived, and were learnt from.
        update: Milliseconds from the arrival to the update, p50 and p95.
        stale: When one of its samples is predicted, how many seconds ago the network last learnt from this source, p50
            and p95.
        between: How many samples of other sources it learns from meanwhile, on average.
        right: Percent of its items that were predicted rightly.
    """

    offered: int
    served: int
    update: tuple[float, float]
    stale: tuple[float, float]
    between: float
    right: float

    @property
    def dropped_share(self) -> float:
        """The share of its samples that were dropped, 0 to 1."""
        return 1 - self.served / self.offered if self.offered else 0.0


def shares(
    owners: Sequence[int],
    sources: int,
    taken: Sequence[Taken],
    outputs: Sequence[Arrival],
    updates: Sequence[Arrival],
    answered: Sequence[tuple[int, bool]] = (),
) -> list[Share]:
    """How each source fares in a run.

    owners: the source, from 0, of each arriving sample. taken, outputs, updates: of the samples that entered, times in
    seconds. answered: of each item that was predicted, its source, and whether it was predicted rightly.
    """
    whose = [owners[sample.number] for sample in taken]
    found = []
    for place in range(sources):
        own = [index for index, owner in enumerate(whose) if owner == place]
        learnt = sorted(updates[index].time for index in own)
        late = [1000 * (updates[index].time - taken[index].arrived) for index in own]
        predicted = [outputs[index].time for index in own]
        stale = [time - learnt[before - 1] for time in predicted if (before := bisect_right(learnt, time))]
        between = [after - index - 1 for index, after in itertools.pairwise(own)]
        right = [good for owner, good in answered if owner == place]
        found.append(
            Share(
                owners.count(place), len(own), _quantiles(late), _quantiles(stale), _mean(between), 100 * _mean(right)
            )
        )
    return found


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return math.nan, math.nan
    p50, p95 = np.percentile(values, (50, 95))
    return float(p50), float(p95)
