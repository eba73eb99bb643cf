"""The order in which passes enter the pipeline. Pure Python: no torch, no Ray, no clock.

    locked, relaxed   S0 M0 S1 M1 S2 M2 ...          (locked also waits for every update before S(t+1))
    streaming, K = 2  S0 S1 M0 S2 M1 S3 M2 ...
    streaming, K = 3  S0 S1 S2 M0 S3 M1 S4 M2 ...

Channels are FIFO, so the coordinator's order of emission is every layer's order of work. Engines run it, the clock
diagram draws it, the tests check it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from pipepita.errors import UserError, unknown

STANDARD, MODULATED = "standard", "modulated"


class Action(NamedTuple):
    """One pass of one sample; prints as `S3` or `M3`."""

    name: str
    step: int

    def __str__(self) -> str:
        return f"{self.name[0].upper()}{self.step}"


@dataclass(frozen=True)
class Schedule:
    """Which sample may enter when.

    window: how many samples may be in flight; weights seen by a standard pass are window - 1 updates old.
    waits: whether the coordinator admits the next sample only when every layer has applied the last update.
    """

    name: str
    window: int = 1
    waits: bool = False

    def actions(self, first: int = 0, passes: tuple[str, ...] = (STANDARD, MODULATED)) -> Actions:
        """The order of a run whose first sample is `first`, for a rule that makes `passes` (one or two)."""
        return Actions(self.window, first, passes)


class Actions:
    """An endless order of actions that can be ended once the last sample is known.

    `end(step)`, called when `step`'s first pass is due, means that `step` will not come: what is left are the second
    passes of the samples before it.
    """

    def __init__(self, window: int, first: int, passes: tuple[str, ...]) -> None:
        self._window, self._first, self._passes = window, first, passes
        self._end: int | None = None

    def end(self, step: int) -> None:
        """No sample from `step` on."""
        self._end = step

    def _ended(self, step: int) -> bool:
        return self._end is not None and step >= self._end

    def __iter__(self) -> Iterator[Action]:
        admit, *answers = self._passes
        for step in count(self._first):
            if not self._ended(step):
                yield Action(admit, step)
            elif not answers:
                return
            answered = step - self._window + 1
            if answers and answered >= self._first:
                if self._ended(answered):
                    return
                yield Action(answers[0], answered)


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


def make(name: str, layers: int, window: int | None = None) -> Schedule:
    """The schedule called `name` for a network of `layers` layers.

    window: for streaming; by default the smallest that fills the pipeline, ceil((layers + 1) / 2), at least 2.
    `UserError` for an unknown name, a window below 1 or above `MAX_WINDOW`, or one above 1 where there is none.
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    if window is not None and window < 1:
        raise UserError(f"window {window} is below 1: it is how many samples may be in flight")
    if window is not None and window > MAX_WINDOW:
        raise UserError(f"window {window} is above {MAX_WINDOW}, the most samples that may be in flight")
    if name == "streaming":
        return streaming(window if window is not None else min(MAX_WINDOW, max(2, (layers + 2) // 2)))
    if window not in (None, 1):
        raise UserError(f"window {window} needs --schedule streaming: {name} has one sample in flight")
    return locked() if name == "locked" else relaxed()
