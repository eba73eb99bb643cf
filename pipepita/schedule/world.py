"""How long everything takes: what the recurrence asks of the world that a pipeline runs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Carry = Callable[[float], float]


@dataclass(frozen=True)
class Cost:
    """What one layer takes for a sample, in any unit of time. update: once its last pass is sent on.

    modulated: of whatever second pass the rule makes.
    """

    standard: float = 1
    modulated: float = 1
    update: float = 0

    @property
    def total(self) -> float:
        """All of it."""
        return self.standard + self.modulated + self.update

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.standard + other.standard, self.modulated + other.modulated, self.update + other.update)

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.standard * factor, self.modulated * factor, self.update * factor)


class World:
    """How long everything takes: here the same for ever. Those who know more override it.

    eventful: whether `finish` and `standstill` are to be asked at all, for every pass and every update.
    costs: of each layer. parts: the layers of each stage. hop: what a message takes between two stages, or between a
    stage and the coordinator.
    """

    def __init__(
        self,
        costs: Sequence[Cost],
        parts: Sequence[range] | None = None,
        hop: float = 0,
    ) -> None:
        self.costs, self.hop = costs, hop
        self.parts = parts or [range(layer, layer + 1) for layer in range(len(costs))]

    eventful = True

    def finish(self, stage: int, begin: float, work: float) -> float:
        """When `stage`, beginning at `begin`, has done `work`."""
        return begin + work

    def standstill(self, stage: int, begin: float, end: float) -> float:
        """How much of the time from `begin` to `end`, which `finish` gave, `stage` did not work."""
        return 0

    def carry(self, source: int, target: int, name: str) -> Carry:
        """From when a message of pass `name` is sent to when it arrives; asked for each message, in their order."""
        hop = self.hop
        return lambda sent: sent + hop

    def take(self, now: float) -> float | None:
        """When the next sample can enter, given that the coordinator wants it at `now`; None: there is none."""
        return now

    def answer(self, step: int, there: float, now: float) -> float:
        """When the error of sample `step` is known, its output being `there` and the coordinator at it at `now`."""
        return now
