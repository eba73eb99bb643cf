"""How long everything takes in a simulated pipeline: what the recurrence asks a `World`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Carry = Callable[[float], float]


@dataclass(frozen=True)
class Cost:
    """How long one layer works on one sample, in any unit of time.

    Attributes:
        standard: The standard pass.
        modulated: The second pass, whatever the rule calls it.
        update: The update, which follows after the last pass has been sent on.
        ahead: What the standard pass takes longer while another sample is in flight at the layer, whose weights are
            then predicted.
    """

    standard: float = 1
    modulated: float = 1
    update: float = 0
    ahead: float = 0

    @property
    def total(self) -> float:
        """The sum of the first three."""
        return self.standard + self.modulated + self.update

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.standard + other.standard, self.modulated + other.modulated, self.update + other.update,
            self.ahead + other.ahead,
        )  # fmt: skip

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.standard * factor, self.modulated * factor, self.update * factor, self.ahead * factor)


class World:
    """How long everything takes. In this class it never changes; a subclass may override any method.

    All times have the unit of the costs.

    Args:
        costs: How long each layer works on one sample.
        parts: The layers of each stage. By default there is one stage per layer.
        hop: How long a message takes between two stages, or between a stage and the coordinator.

    Attributes:
        eventful: Whether `finish` and `standstill` are called for every pass and update. If not, work always takes its
            cost.

    Example:
        >>> from pipepita.schedule import relaxed
        >>> from pipepita.schedule.recurrence import run
        >>> class SlowStart(World):
        ...     def finish(self, stage, begin, work):
        ...         return begin + work * (10 if begin < 5 else 1)
        >>> run(relaxed(), SlowStart([Cost(), Cost()]), samples=3).admitted
        [0.0, 11.0, 14.0]
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
        """When a stage has finished some work.

        Args:
            stage: The stage.
            begin: When it begins.
            work: How long the work takes if nothing disturbs it.
        """
        return begin + work

    def standstill(self, stage: int, begin: float, end: float) -> float:
        """How much of the time from `begin` to `end`, which `finish` returned, `stage` was not working."""
        return 0

    def carry(self, source: int, target: int, name: str) -> Carry:
        """How messages travel.

        Args:
            source: The stage that sends, or `COORDINATOR`.
            target: The stage that receives, or `COORDINATOR`.
            name: The pass, or `recurrence.UPDATED`.

        Returns:
            A function from the time at which a message is sent to the time at which it arrives. It is called once per
            message, in the order of sending.
        """
        hop = self.hop
        return lambda sent: sent + hop

    def arrival(self, now: float) -> float:
        """When a sample is there that can enter from `now` on; `now` itself if no more will come."""
        return now

    def take(self, now: float) -> float | None:
        """When the next sample enters if the coordinator is ready for it at `now`; None if there is none."""
        return now

    def answer(self, step: int, there: float, now: float) -> float:
        """When the error of a sample is known.

        Args:
            step: The sample's number.
            there: When its output arrives at the coordinator.
            now: When the coordinator gets to it.
        """
        return now
