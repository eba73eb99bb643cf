"""When every stage does what, if a pass of each takes a known time: max-plus recurrences over a schedule's order.

    layer 1   S0 .  .  M0 S1 .  .  M1          relaxed, 3 layers, every pass one slot: sample 1 enters
    layer 2   .  S0 .  .  M0 S1 .  .  M1       right behind sample 0's modulated pass
    layer 3   .  .  S0 .  .  M0 S1 .  .  M1

A pass begins at max(its stage is free, its message has arrived). A stage sends on before it updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pipepita.errors import UserError
from pipepita.schedule import Action, Schedule


@dataclass(frozen=True)
class Cost:
    """What one layer or stage takes for a sample, in any unit of time. update: once the modulated pass is sent on."""

    standard: float = 1
    modulated: float = 1
    update: float = 0

    @property
    def total(self) -> float:
        """All of it."""
        return self.standard + self.modulated + self.update

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.standard + other.standard, self.modulated + other.modulated, self.update + other.update)


class Event(NamedTuple):
    """One pass at one stage (from 0), without its update."""

    stage: int
    action: Action
    begin: float
    end: float


def events(
    schedule: Schedule, costs: Sequence[Cost], samples: int, *, broadcast: bool = False, hop: float = 0
) -> list[Event]:
    """Every pass of `samples` samples through stages of these costs, in the schedule's order.

    broadcast: the modulated pass begins at every stage at once (`modulate="all"`) instead of running up the chain.
    hop: what a message takes between two stages, or between a stage and the coordinator.
    """
    if not costs or samples < 1:
        raise UserError(f"a clock diagram needs at least one layer and one sample, not {len(costs)} and {samples}")
    found: list[Event] = []
    free = [0.0] * len(costs)
    output: dict[int, float] = {}  # when each sample's output reaches the coordinator
    emitted = 0.0

    def run(action: Action, stage: int, arrives: float, takes: float, update: float = 0) -> float:
        begin = max(free[stage], arrives)
        found.append(Event(stage, action, begin, begin + takes))
        free[stage] = begin + takes + update
        return begin + takes + hop

    actions = schedule.actions()
    for action in actions:
        if action.step not in output:
            if action.step == samples:
                actions.end(samples)
                continue
            # channels hold what is sent early, so nobody waits to send; locked waits for word of every update
            emitted = max(emitted, max(free) + hop) if schedule.waits and output else emitted
            arrives = emitted + hop
            for stage, cost in enumerate(costs):
                arrives = run(action, stage, arrives, cost.standard)
            output[action.step] = arrives
        else:
            emitted = max(emitted, output[action.step])
            arrives = emitted + hop
            for stage, cost in enumerate(costs):
                done = run(action, stage, arrives, cost.modulated, cost.update)
                arrives = arrives if broadcast else done
    return found


def settled_period(schedule: Schedule, costs: Sequence[Cost], *, broadcast: bool = False, hop: float = 0) -> float:
    """Time from one sample to the next once the pipeline is full."""
    samples = 8 * (schedule.window + len(costs))
    return _period([e.begin for e in _admissions(events(schedule, costs, samples, broadcast=broadcast, hop=hop))])


def _admissions(found: Sequence[Event]) -> list[Event]:
    seen: dict[int, Event] = {}
    for event in found:
        if event.stage == 0:
            seen.setdefault(event.action.step, event)
    return list(seen.values())


def _period(admitted: Sequence[float]) -> float:
    """The mean gap in the second half."""
    gaps = [later - earlier for earlier, later in pairwise(admitted[len(admitted) // 2 :])]
    return sum(gaps) / len(gaps) if gaps else float("nan")


@dataclass(frozen=True)
class Clock:
    """rows[layer][slot] is an action or None; admitted[t] is the slot in which sample t enters."""

    rows: list[list[Action | None]]
    admitted: list[int]

    @property
    def period(self) -> float:
        """Slots from one sample to the next, over the second half of the diagram (once the pipeline is full)."""
        return _period(self.admitted)


def clock(schedule: Schedule, layers: int, samples: int, *, broadcast: bool = False) -> Clock:
    """The diagram of `samples` samples through `layers` layers, when every pass of every layer takes one slot.

    `UserError` for fewer than one layer or sample.
    """
    found = events(schedule, [Cost()] * layers, samples, broadcast=broadcast)
    rows: list[list[Action | None]] = [[None] * round(max(event.end for event in found)) for _ in range(layers)]
    for event in found:
        rows[event.stage][round(event.begin)] = event.action
    return Clock(rows, [round(event.begin) for event in _admissions(found)])
