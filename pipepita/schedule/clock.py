"""When each stage works on what, if every pass takes a known time: the clock diagram of a schedule.

layer 1   S0 .  .  M0 S1 .  .  M1          relaxed, 3 layers, every pass one slot: sample 1 enters
layer 2   .  S0 .  .  M0 S1 .  .  M1       right behind sample 0's modulated pass
layer 3   .  .  S0 .  .  M0 S1 .  .  M1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pipepita.errors import UserError
from pipepita.schedule import Action, Schedule
from pipepita.schedule.recurrence import run
from pipepita.schedule.topology import Route, Travels
from pipepita.schedule.world import Cost, World


class Event(NamedTuple):
    """One pass at one stage (counted from 0), without its update. The times have the unit of the costs."""

    stage: int
    action: Action
    begin: float
    end: float


def events(
    schedule: Schedule,
    costs: Sequence[Cost],
    samples: int,
    *,
    route: Travels = Route(),
    parts: Sequence[range] | None = None,
    hop: float = 0,
) -> list[Event]:
    """When each pass of `samples` samples begins and ends.

    Args:
        schedule: The schedule.
        costs: What each layer takes, in any unit of time.
        samples: How many samples enter.
        route: The rule, or what it says about its passes.
        parts: The layers of each stage. By default there is one stage per layer.
        hop: How long a message takes between two stages, or between a stage and the coordinator.

    Returns:
        The passes; those of each stage are in the schedule's order.

    Raises:
        UserError: There is no layer or no sample.
    """
    _check(costs, samples)
    passes: list[Event] = []
    run(schedule, World(costs, parts, hop), samples, route, lambda *event: passes.append(Event(*event[:4])))
    return passes


def settled_period(
    schedule: Schedule,
    costs: Sequence[Cost],
    *,
    route: Travels = Route(),
    parts: Sequence[range] | None = None,
    hop: float = 0,
) -> float:
    """The time from one sample to the next once the pipeline is full. The arguments are those of `events`."""
    _check(costs, 1)
    return settled(schedule, World(costs, parts, hop), route)


def settled(schedule: Schedule, world: World, route: Travels = Route()) -> float:
    """The same in a world that stays as it is."""
    samples = 8 * (schedule.window + len(world.parts))
    admitted: list[float] = []  # when the first stage begins with each sample

    def seen(stage: int, action: Action, begin: float, end: float, free: float) -> None:
        if stage == 0 and action.name == route.passes[0] and action.step == len(admitted):
            admitted.append(begin)

    run(schedule, world, samples, route, seen)
    return _period(admitted)


def _check(costs: Sequence[Cost], samples: int) -> None:
    if not costs or samples < 1:
        raise UserError(f"a clock diagram needs at least one layer and one sample, not {len(costs)} and {samples}")


def _period(admitted: Sequence[float]) -> float:
    """The mean time between two samples, over the second half of them."""
    gaps = [later - earlier for earlier, later in pairwise(admitted[len(admitted) // 2 :])]
    return sum(gaps) / len(gaps) if gaps else float("nan")


@dataclass(frozen=True)
class Clock:
    """A clock diagram whose time is divided into slots.

    Attributes:
        rows: rows[layer][slot] is what the layer does in that slot, or None.
        admitted: admitted[t] is the slot in which sample t enters.
    """

    rows: list[list[Action | None]]
    admitted: list[int]

    @property
    def period(self) -> float:
        """Slots from one sample to the next, over the second half of the samples (once the pipeline is full).

        NaN with fewer than three samples.
        """
        return _period(self.admitted)


def clock(schedule: Schedule, layers: int, samples: int, *, route: Travels = Route()) -> Clock:
    """The diagram of `samples` samples through `layers` layers, if every pass of a layer takes one slot.

    Raises:
        UserError: There is no layer or no sample.

    Example:
        >>> from pipepita.schedule import relaxed
        >>> drawn = clock(relaxed(), layers=2, samples=3)
        >>> " ".join(str(action or ".") for action in drawn.rows[0]), drawn.period
        ('S0 . M0 S1 . M1 S2 . M2 .', 3.0)
    """
    passes = events(schedule, [Cost()] * layers, samples, route=route)
    rows: list[list[Action | None]] = [[None] * round(max(event.end for event in passes)) for _ in range(layers)]
    for event in passes:
        rows[event.stage][round(event.begin)] = event.action
    first = [event for event in passes if event.stage == 0 and event.action.name == route.passes[0]]
    return Clock(rows, [round(event.begin) for event in first])
