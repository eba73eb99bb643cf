"""The order in which passes enter the pipeline. Pure Python: no torch, no Ray, no clock.

    locked, relaxed   S0 M0 S1 M1 S2 M2 ...          (locked also waits for every update before S(t+1))
    streaming, K = 2  S0 S1 M0 S2 M1 S3 M2 ...
    streaming, K = 3  S0 S1 S2 M0 S3 M1 S4 M2 ...

Channels are FIFO, so where the second pass travels up the layers, or comes to all at once, the coordinator's order of
emission is every layer's order of work. A backward pass comes from above, and a layer at the top must answer before
one at the bottom: the window tapers from K at the first of L layers to ceil(K / L) at the last, which with a stage a
layer and K up to L is 1F1B.

    layer 1 (K = 3)   S0 S1 S2 B0 S3 B1 ...
    layer 2           S0 S1 B0 S2 B1 ...
    layer 3           S0 B0 S1 B1 ...

Engines run it, the clock diagram draws it, the tests check it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import NamedTuple

from pipepita.errors import UserError, unknown

STANDARD, MODULATED, BACKWARD, BROADCAST = "standard", "modulated", "backward", "broadcast"


class Flow(StrEnum):
    """How a sample's second pass travels: up the layers, down them, to all at once; or there is none."""

    UP = "up"
    DOWN = "down"
    ALL = "all"
    NONE = "none"


class Action(NamedTuple):
    """One pass of one sample; prints as `S3`, `M3` or `B3`. part: which group of a stage's layers (see `groups`)."""

    name: str
    step: int
    part: int = 0

    def __str__(self) -> str:
        return f"{self.name[0].upper()}{self.step}"


class Group(NamedTuple):
    """Neighbouring layers of a stage with the same window: places in the network, from 0, `stop` not included."""

    start: int
    stop: int
    window: int


@dataclass(frozen=True)
class Schedule:
    """Which sample may enter when.

    window: how many samples may be in flight; weights seen by a standard pass are window - 1 updates old.
    waits: whether the coordinator admits the next sample only when every layer has applied the last update.
    """

    name: str
    window: int = 1
    waits: bool = False

    def actions(
        self,
        first: int = 0,
        passes: tuple[str, ...] = (STANDARD, MODULATED),
        windows: Sequence[int] = (),
    ) -> Actions:
        """The order of a run whose first sample is `first`, for a rule of `passes` (one or two).

        windows: of a stage's `groups`; by default one, as for the coordinator.
        """
        return Actions(windows or [self.window], first, passes)

    def groups(self, layers: Sequence[int], total: int, flow: Flow) -> list[Group]:
        """The layers of a stage (their places in a network of `total`), grouped by window."""
        found: list[Group] = []
        for place in layers:
            window = self.window if flow is not Flow.DOWN else -(-self.window * (total - place) // total)
            if found and found[-1].window == window:
                found[-1] = found[-1]._replace(stop=place + 1)
            else:
                found.append(Group(place, place + 1, window))
        return found

    def in_flight(self, stages: int, passes: tuple[str, ...]) -> int:
        """How many samples the coordinator admits before it wants an output back.

        Without a second pass no weight is ever stale, so it is enough to keep every stage and channel busy.
        """
        return self.window if len(passes) > 1 or self.waits else min(2 * (stages + 1), 2 * MAX_WINDOW)


class Actions:
    """An endless order of actions that can be ended once the last sample is known.

    A round is, for each group of layers from the top one down, a first pass of as many samples ahead as its window, and
    a second pass. (From the top: what a group has left for the one above it in one round is taken up in the next.)

    `end(step)`, called when `step`'s first pass is due, means that `step` will not come: what is left are the second
    passes of the samples before it.
    """

    def __init__(self, windows: Sequence[int], first: int, passes: tuple[str, ...]) -> None:
        self._windows, self._first, self._passes = windows, first, passes
        self._end: int | None = None

    def end(self, step: int) -> None:
        """No sample from `step` on."""
        self._end = step

    def _ended(self, step: int) -> bool:
        return self._end is not None and step >= self._end

    def __iter__(self) -> Iterator[Action]:
        admit, *answers = self._passes
        ahead = max(self._windows) - 1
        for answered in count(self._first - ahead):
            if self._ended(answered if answers else answered + ahead):
                return
            for part, window in reversed(list(enumerate(self._windows))):
                step = answered + window - 1
                if step >= self._first and not self._ended(step):
                    yield Action(admit, step, part)
                if answers and answered >= self._first and not self._ended(answered):
                    yield Action(answers[0], answered, part)


def locked() -> Schedule:
    """Layer-sequential PEPITA, the baseline: nothing of sample t + 1 before all of sample t."""
    return Schedule("locked", waits=True)


def relaxed() -> Schedule:
    """Sample t + 1 right behind t's modulated pass: the same weights as `locked`, bit for bit."""
    return Schedule("relaxed")


def streaming(window: int) -> Schedule:
    """`window` samples in flight: each standard pass sees weights that are window - 1 updates old."""
    return Schedule("streaming", window)


# More samples in flight than this would overfill the sockets that wake the stages (2 x window messages each), and no
# pipeline is so deep that it could use them.
MAX_WINDOW = 128

SCHEDULES = ("locked", "relaxed", "streaming")


def make(name: str, layers: int, window: int | None = None, flow: Flow = Flow.UP, most: int = MAX_WINDOW) -> Schedule:
    """The schedule called `name` for a network of `layers` layers whose second pass travels like `flow`.

    window: for streaming; by default the smallest that fills the pipeline: ceil((layers + 1) / 2), at least 2; for a
    backward pass as many as there are layers, and 1 if there is no second pass. most: the largest such default.
    `UserError` for an unknown name, a window below 1 or above `MAX_WINDOW`, or one above 1 where there is none.
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    if window is not None and window < 1:
        raise UserError(f"window {window} is below 1: it is how many samples may be in flight")
    if window is not None and window > MAX_WINDOW:
        raise UserError(f"window {window} is above {MAX_WINDOW}, the most samples that may be in flight")
    if name == "streaming":
        return streaming(window if window is not None else min(most, MAX_WINDOW, _filling(layers, flow)))
    if window not in (None, 1):
        raise UserError(f"window {window} needs --schedule streaming: {name} has one sample in flight")
    return locked() if name == "locked" else relaxed()


def _filling(layers: int, flow: Flow) -> int:
    if flow is Flow.NONE:
        return 1
    return max(2, layers if flow is Flow.DOWN else (layers + 2) // 2)
