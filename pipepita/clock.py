"""When every stage does what, if a pass of each takes a known time: max-plus recurrences over a schedule's order.

    layer 1   S0 .  .  M0 S1 .  .  M1          relaxed, 3 layers, every pass one slot: sample 1 enters
    layer 2   .  S0 .  .  M0 S1 .  .  M1       right behind sample 0's modulated pass
    layer 3   .  .  S0 .  .  M0 S1 .  .  M1

A pass begins at max(its stage is free, its message has arrived). A stage sends on before it updates. The order of each
stage's work is the one that the engines run, `Schedule.actions`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pipepita.errors import UserError
from pipepita.schedule import MODULATED, STANDARD, Action, Flow, Schedule


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


@dataclass(frozen=True)
class Route:
    """The passes that a sample makes, as a rule says them, and how the second travels."""

    passes: tuple[str, ...] = (STANDARD, MODULATED)
    flow: Flow = Flow.UP


class Event(NamedTuple):
    """One pass at one stage (from 0), without its update."""

    stage: int
    action: Action
    begin: float
    end: float


_COLLECT, _UPDATED = "collect", "updated"
_COORDINATOR = -1
# (pass, sample, where): what somebody waits for; where is a layer, a stage for `_UPDATED`, or the coordinator
_Key = tuple[str, int, int]


class _Run:
    """One evaluation: every stage and the coordinator as coroutines that yield what they wait for."""

    def __init__(
        self, schedule: Schedule, costs: Sequence[Cost], samples: int, route: Route, parts: Sequence[range], hop: float
    ) -> None:
        self.schedule, self.costs, self.samples, self.route = schedule, costs, samples, route
        self.parts, self.hop = parts, hop
        self.events: list[Event] = []
        self.known: dict[_Key, float] = {}
        self._woken: list[_Key] = []

    def tell(self, key: _Key, time: float) -> None:
        self.known[key] = time
        self._woken.append(key)

    def run(self) -> list[Event]:
        waiting: dict[_Key, list[Iterator[_Key]]] = defaultdict(list)
        ready = [self.coordinator(), *(self.stage(index) for index in range(len(self.parts)))]
        while ready:
            for one in ready:
                for key in one:  # until it waits for something that is not known yet
                    waiting[key].append(one)
                    break
            ready = [one for key in self._woken for one in waiting.pop(key, [])]
            self._woken = []
        return self.events

    def coordinator(self) -> Iterator[_Key]:
        admit, *answers = self.route.passes
        hop, now = self.hop, 0.0
        ahead = self.schedule.in_flight(len(self.parts), self.route.passes)
        actions = self.schedule.actions(passes=(admit, *(answers or [_COLLECT])), windows=[ahead])
        for name, step, _ in actions:
            if name != admit:
                now = max(now, (yield from self.when((admit, step, _COORDINATOR))))
                for layer in self._entrances() if answers else ():
                    self.tell((name, step, layer), now + hop)
            elif step == self.samples:
                actions.end(step)
            else:
                if self.schedule.waits and step:
                    for stage in range(len(self.parts)):
                        now = max(now, (yield from self.when((_UPDATED, step - 1, stage))))
                self.tell((name, step, 0), now + hop)

    def _entrances(self) -> Sequence[int]:
        """The layers at which a second pass begins."""
        total = len(self.costs)
        return {Flow.UP: [0], Flow.DOWN: [total - 1]}.get(self.route.flow, range(total))

    def stage(self, index: int) -> Iterator[_Key]:
        (admit, *_), flow, costs = self.route.passes, self.route.flow, self.costs
        last_pass = self.route.passes[-1]
        layers, total, free = self.parts[index], len(costs), 0.0
        groups = self.schedule.groups(layers, total, flow)
        actions = self.schedule.actions(0, self.route.passes, [group.window for group in groups])
        for name, step, part in actions:
            if name == admit and step == self.samples:
                actions.end(step)
                continue
            start, stop, _ = groups[part]
            down = name != admit and flow is Flow.DOWN
            begin = max(free, (yield from self.when((name, step, stop - 1 if down else start))))
            mine = [costs[layer] for layer in range(start, stop)]
            end = begin + sum(cost.standard if name == admit else cost.modulated for cost in mine)
            self.events.append(Event(index, Action(name, step), begin, end))
            if name == admit or flow is not Flow.ALL:
                following = start - 1 if down else stop
                if 0 <= following < total:
                    self.tell((name, step, following), end if following in layers else end + self.hop)
                elif name == admit:
                    self.tell((name, step, _COORDINATOR), end + self.hop)
            free = end
            if name == last_pass:
                free += sum(cost.update for cost in mine)
                if part == (0 if down else len(groups) - 1):
                    self.tell((_UPDATED, step, index), free + self.hop)

    def when(self, key: _Key) -> Generator[_Key, None, float]:
        """Waits for `key`; returns its time."""
        while key not in self.known:
            yield key
        return self.known[key]


def events(
    schedule: Schedule,
    costs: Sequence[Cost],
    samples: int,
    *,
    route: Route = Route(),
    parts: Sequence[range] | None = None,
    hop: float = 0,
) -> list[Event]:
    """Every pass of `samples` samples through layers of these costs; each stage's in the schedule's order.

    parts: the layers of each stage; by default a stage a layer. hop: what a message takes between two stages, or
    between a stage and the coordinator. `UserError` for fewer than one layer or sample.
    """
    if not costs or samples < 1:
        raise UserError(f"a clock diagram needs at least one layer and one sample, not {len(costs)} and {samples}")
    parts = parts or [range(layer, layer + 1) for layer in range(len(costs))]
    return _Run(schedule, costs, samples, route, parts, hop).run()


def settled_period(
    schedule: Schedule,
    costs: Sequence[Cost],
    *,
    route: Route = Route(),
    parts: Sequence[range] | None = None,
    hop: float = 0,
) -> float:
    """Time from one sample to the next once the pipeline is full."""
    samples = 8 * (schedule.window + len(costs))
    found = events(schedule, costs, samples, route=route, parts=parts, hop=hop)
    return _period([e.begin for e in _admissions(found)])


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


def clock(schedule: Schedule, layers: int, samples: int, *, route: Route = Route()) -> Clock:
    """The diagram of `samples` samples through `layers` layers, when every pass of every layer takes one slot.

    `UserError` for fewer than one layer or sample.
    """
    found = events(schedule, [Cost()] * layers, samples, route=route)
    rows: list[list[Action | None]] = [[None] * round(max(event.end for event in found)) for _ in range(layers)]
    for event in found:
        rows[event.stage][round(event.begin)] = event.action
    return Clock(rows, [round(event.begin) for event in _admissions(found)])
