"""Emulated devices: layers that take at least a given time for each pass, by waiting.

So L slow devices can be shown on two cores: a waiting process needs none. What travels and what is learnt stay real.

A pass begins when its message is there and the device is free, and is sent on when its time is over:

    message sent  |<------- pace ------->| sent on
       wake up, compute, wait ...........

so waking up and computing on this host count as part of the pass, as they would on the device itself. A link between
two of them is emulated where a message is received (`Delayed`): its receiver waits until it would have arrived.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from torch import Tensor

from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.rules.rule import Learner, Product

# A sleeper wakes late, and cold: it sleeps until shortly before and spins for the rest.
_SPIN_SECONDS = 0.0003


@dataclass(frozen=True)
class Pace:
    """How long one layer takes at least: seconds a standard and a second pass, and an update once that is sent on."""

    standard: float
    modulated: float
    update: float = 0.0


class Undisturbed:
    """A fate in which nothing happens; `edge.trouble.Fate` knows others. Times in seconds since the run began."""

    @property
    def forgetful(self) -> bool:
        """Whether a death may take what was learnt."""
        return False

    def finish(self, begin: float, work: float) -> float:
        """When work of `work` undisturbed seconds, begun at `begin`, is done."""
        return begin + work

    def forgets(self, after: float, until: float) -> bool:
        """Whether a death in (after, until] took what the device had learnt."""
        return False


class Device:
    """The time of one emulated device, in seconds of this host's monotonic clock.

    fate: what befalls it. began: when the run began.
    """

    def __init__(self, fate: Undisturbed | None = None) -> None:
        self._fate = fate or Undisturbed()
        self._now = self._asked = 0.0
        self.began = 0.0

    def arrives(self, sent: int) -> None:
        """The next pass has its message, sent at `sent` nanoseconds, or just now where that is 0."""
        self._now = max(self._now, sent / 1e9 if sent else time.perf_counter())

    def forgot(self) -> bool:
        """Whether the device has lost what it had learnt since it was last asked."""
        before, self._asked = self._asked, self._now - self.began
        return self._fate.forgets(before, self._asked)

    def takes(self, seconds: float) -> None:
        """Waits until a pass that began at the device's time has taken so long."""
        due = self.began + self._fate.finish(self._now - self.began, seconds)
        # a host too slow for the device makes the device slower
        self._now = due if (late := wait_until(due)) < _SPIN_SECONDS else due + late


def wait_until(due: float) -> float:
    """Waits until `due`, seconds of this host's monotonic clock; how much too late it is then."""
    left = due - time.perf_counter() - _SPIN_SECONDS
    if left > 0:
        time.sleep(left)
    while (now := time.perf_counter()) < due:
        pass
    return now - due


class PacedLearner:
    """A learner whose passes end no sooner than its pace allows. Evaluations are not slowed down."""

    def __init__(self, learner: Learner, pace: Pace, device: Device) -> None:
        self._learner, self._pace, self._device = learner, pace, device
        self.layer: Layer = learner.layer

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        out = self._learner.standard(step, x, target)
        self._device.takes(self._pace.standard)
        return out

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        out = self._learner.second(step, arriving, error)
        self._device.takes(self._pace.modulated)
        return out

    def product(self, step: int) -> Product | None:
        return self._learner.product(step)

    def updated(self) -> None:
        self._learner.updated()
        if self._pace.update:
            self._device.takes(self._pace.update)

    def align(self, epoch: int, above: Tensor | None) -> Tensor:
        return self._learner.align(epoch, above)  # type: ignore[attr-defined]

    def evaluate(self, x: Tensor) -> Tensor:
        return self._learner.evaluate(x)

    def fixed(self) -> dict[str, Tensor]:
        return self._learner.fixed()

    def memory(self) -> dict[str, Tensor]:
        return self._learner.memory()

    def remember(self, memory: dict[str, Tensor]) -> None:
        self._learner.remember(memory)


def read_milliseconds(text: str, option: str) -> list[float]:
    """`"10"` or `"10,10,40"` as seconds; `UserError` where one is no number between 0 and a minute."""
    try:
        seconds = [float(part) / 1000 for part in text.split(",")]
    except ValueError:
        seconds = [-1.0]
    if not all(0 <= value <= 60 and math.isfinite(value) for value in seconds):
        raise UserError(
            f"{option} {text!r}: milliseconds between 0 and 60000, one number or one a layer, like 10,10,40"
        )
    return seconds


def paces(standard: str | None, modulated: str | None, layers: int) -> list[Pace | None]:
    """One pace a layer from the texts of the two options; None where neither is given.

    `UserError` for what cannot be read, or for a list that is not one number a layer.
    """
    if standard is None and modulated is None:
        return [None] * layers
    columns = []
    for option, text in (("standard_ms", standard), ("modulated_ms", modulated)):
        seconds = read_milliseconds("0" if text is None else text, option)
        if len(seconds) not in (1, layers):
            raise UserError(f"{option} {text!r}: {len(seconds)} numbers for {layers} layers: one, or one a layer")
        columns.append(seconds * layers if len(seconds) == 1 else seconds)
    return [Pace(s, m) for s, m in zip(*columns, strict=True)]
