"""A pipeline in virtual time: max-plus recurrences over the order in which a schedule lets everybody work.

    begin = max(the stage is free, its message has arrived)        end = begin + what the pass takes

A stage sends on before it updates. The order of each stage's work is the one that the engines run,
`Schedule.actions`; how long things take is asked of a `World`, so that the same recurrences draw a clock diagram in
slots and simulate a chain of devices in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipepita.errors import RunError
from pipepita.schedule import MODULATED, STANDARD, Action, Flow, Schedule

COORDINATOR = -1
UPDATED = "updated"  # word of a stage's update to a coordinator that waits for it
_COLLECT = "collect"
Carry = Callable[[float], float]
Seen = Callable[[int, Action, float, float, float], None]


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


@dataclass(frozen=True)
class Route:
    """The passes that a sample makes, as a rule says them, and how the second travels."""

    passes: tuple[str, ...] = (STANDARD, MODULATED)
    flow: Flow = Flow.UP


class World:
    """How long everything takes: here the same for ever. Those who know more override it.

    eventful: whether `finish` and `stood` are to be asked at all, for every pass and every update.
    costs: of each layer. parts: the layers of each stage. hop: what a message takes between two stages, or between a
    stage and the coordinator. signals: by pass, the stages that hear from the coordinator (the target, or the error);
    by default those where the second pass begins.
    """

    def __init__(
        self,
        costs: Sequence[Cost],
        parts: Sequence[range] | None = None,
        hop: float = 0,
        signals: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.costs, self.hop, self.signals = costs, hop, signals
        self.parts = parts or [range(layer, layer + 1) for layer in range(len(costs))]

    eventful = True

    def finish(self, stage: int, begin: float, work: float) -> float:
        """When `stage`, beginning at `begin`, has done `work`."""
        return begin + work

    def stood(self, stage: int, begin: float, end: float) -> float:
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


class Arrival(NamedTuple):
    """When something was there, and how much of the way to it was computing and how much travelling."""

    time: float
    computed: float
    travelled: float


@dataclass
class Course:
    """What came of it. admitted, outputs, updates: by sample, the last being the last layer's; busy: by stage."""

    admitted: list[float] = field(default_factory=list)
    outputs: list[Arrival] = field(default_factory=list)
    updates: list[Arrival] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


# an `Arrival` as a plain tuple: there are millions
_Message = tuple[float, float, float]


class _Port:
    """Where messages arrive, in order."""

    __slots__ = ("messages", "waiter")

    def __init__(self) -> None:
        self.messages: deque[_Message] = deque()
        self.waiter: _Loop | None = None


_Loop = Generator[_Port, None, None]


class _Work(NamedTuple):
    """One pass through one group of a stage's layers."""

    inlet: _Port
    signal: _Port | None
    seconds: float
    update: float
    outlet: _Port | None
    carry: Carry | None  # None: the outlet is at the same stage
    last: bool


def run(
    schedule: Schedule,
    world: World,
    samples: int,
    route: Route = Route(),
    seen: Seen | None = None,
) -> Course:
    """Up to `samples` samples, fewer where the world has no more.

    seen: told of every pass: (stage, action, begin, end, when its update is done too), each stage's in order.
    """
    return _Run(schedule, world, samples, route, seen).run()


class _Run:
    def __init__(
        self,
        schedule: Schedule,
        world: World,
        samples: int,
        route: Route,
        seen: Seen | None,
    ) -> None:
        self.schedule, self.world, self.route, self.seen = schedule, world, route, seen
        self.samples = self.end = samples
        self.stages = range(len(world.parts))
        self.course = Course(busy=[0.0 for _ in self.stages])
        self.signals = self._entrances() if world.signals is None else world.signals
        # by where it is read: from below, from above, from the coordinator, and word of updates at the coordinator
        self.below, self.above, self.signal, self.done = ([_Port() for _ in self.stages] for _ in range(4))
        self.outputs = _Port()
        self._ready: list[_Loop] = []
        self._orders: dict[tuple[tuple[str, ...], tuple[int, ...]], list[tuple[bool, int, int]]] = {}

    def _entrances(self) -> dict[str, Sequence[int]]:
        flow, stages = self.route.flow, self.stages
        first = {Flow.UP: stages[:1], Flow.DOWN: stages[-1:], Flow.ALL: stages, Flow.NONE: []}[flow]
        return dict.fromkeys(self.route.passes[1:], first)

    def run(self) -> Course:
        self._ready = [self.coordinator(), *(self.stage(index) for index in self.stages)]
        going = len(self._ready)
        while self._ready:
            one = self._ready.pop()
            port = next(one, None)
            if port is None:
                going -= 1
            else:
                port.waiter = one
        if going:
            raise RunError(f"{going} of the pipeline's loops wait for messages that nobody sends")
        return self.course

    def send(self, port: _Port, message: _Message) -> None:
        port.messages.append(message)
        if port.waiter is not None:
            self._ready.append(port.waiter)
            port.waiter = None

    def receive(self, port: _Port) -> Generator[_Port, None, _Message]:
        while not port.messages:
            yield port
        return port.messages.popleft()

    def order(self, passes: tuple[str, ...], windows: Sequence[int]) -> list[tuple[bool, int, int]]:
        """(whether it is the second pass, step, part) of all samples, which stages of like windows share."""
        key = passes, tuple(windows)
        if key not in self._orders:
            actions = self.schedule.actions(0, passes, windows)
            found = self._orders[key] = []
            for name, step, part in actions:
                if name == passes[0] and step == self.samples:
                    actions.end(step)
                else:
                    found.append((name != passes[0], step, part))
        return self._orders[key]

    def coordinator(self) -> _Loop:
        world, course = self.world, self.course
        admit, *answers = self.route.passes
        ahead = self.schedule.in_flight(len(self.stages), self.route.passes)
        enter = world.carry(COORDINATOR, 0, admit)
        told = {
            name: [(self.signal[stage], world.carry(COORDINATOR, stage, name)) for stage in self.signals.get(name, ())]
            for name in self.route.passes
        }
        now = 0.0
        for second, step, _ in self.order((admit, *(answers or [_COLLECT])), [ahead]):
            if step >= self.end:
                continue
            if second:
                output = Arrival(*(yield from self.receive(self.outputs)))
                course.outputs.append(output)
                now = max(now, output.time)
                if answers:
                    now = world.answer(step, output.time, now)
                    for port, carry in told[answers[0]]:
                        there = carry(now)
                        self.send(port, (there, output.computed, output.travelled + there - now))
                continue
            if self.schedule.waits and step:
                for port in self.done:
                    now = max(now, (yield from self.receive(port))[0])
            due = world.take(now)
            if due is None:
                self._finish(step)
                continue
            now = due
            course.admitted.append(now)
            course.updates.append(Arrival(0.0, 0.0, 0.0))
            there = enter(now)
            self.send(self.below[0], (there, 0.0, there - now))
            for port, carry in told[admit]:
                there = carry(now)
                self.send(port, (there, 0.0, there - now))

    def _finish(self, step: int) -> None:
        """Sample `step` will not come: whoever waits for it need not."""
        self.end = step
        for port in (self.outputs, *self.below, *self.above, *self.signal, *self.done):
            if port.waiter is not None:
                self._ready.append(port.waiter)
                port.waiter = None

    def stage(self, index: int) -> _Loop:
        groups = self.schedule.groups(self.world.parts[index], len(self.world.costs), self.route.flow)
        works = self._works(index, [range(group.start, group.stop) for group in groups])
        course, seen, send = self.course, self.seen, self.send
        finish = self.world.finish if self.world.eventful else None
        name, other = self.route.passes[0], self.route.passes[-1]
        waits = self.schedule.waits
        report = self.world.carry(index, COORDINATOR, UPDATED) if waits else None
        free = busy = 0.0
        for second, step, part in self.order(self.route.passes, [group.window for group in groups]):
            inlet, signal, seconds, update, outlet, carry, last = works[second][part]
            while not inlet.messages and step < self.end:
                yield inlet
            if step >= self.end:
                continue
            message = inlet.messages.popleft()
            if signal is not None:
                while not signal.messages:
                    yield signal
                message = max(message, signal.messages.popleft())
            begin = max(free, message[0])
            end = begin + seconds if finish is None else finish(index, begin, seconds)
            stood = 0.0 if finish is None else self.world.stood(index, begin, end)
            computed, travelled = message[1] + end - begin - stood, message[2]
            if outlet is not None:
                there = end if carry is None else carry(end)
                send(outlet, (there, computed, travelled + there - end))
            free = end + update if finish is None or not update else finish(index, end, update)
            if seen is not None:
                seen(index, Action(other if second else name, step), begin, end, free)
            busy += free - begin - stood
            worked = free - end
            if update and finish is not None:
                worked -= self.world.stood(index, end, free)
                busy -= free - end - worked
            if last:
                if free > course.updates[step][0]:
                    course.updates[step] = Arrival(free, computed + worked, travelled)
                if report is not None:
                    send(self.done[index], (report(free), 0.0, 0.0))
        course.busy[index] = busy

    def _works(self, index: int, groups: Sequence[range]) -> list[list[_Work]]:
        """[standard pass, second pass], by part."""
        world, flow = self.world, self.route.flow
        admit, *answers = self.route.passes
        top, roof = len(groups) - 1, len(self.stages) - 1
        found = []
        for name in self.route.passes:
            second = name != admit
            down = second and flow is Flow.DOWN
            told = index in self.signals.get(name, ())
            between = [_Port() for _ in groups]  # what one group leaves for the next
            row = []
            for part, layers in enumerate(groups):
                entrance = part == (top if down else 0)
                alone = second and (flow is Flow.ALL or index == (roof if down else 0))
                inlet = between[part] if not entrance else self.above[index] if down else self.below[index]
                signal = self.signal[index] if told and entrance else None
                if alone and entrance:  # from the signal alone
                    inlet, signal = self.signal[index], None
                following = part - 1 if down else part + 1
                outlet, carry = None, None
                if 0 <= following <= top:
                    outlet = between[following]
                elif not (second and flow is Flow.ALL):
                    outlet, carry = self._onward(index, name, down)
                costs = [world.costs[layer] for layer in layers]
                row.append(
                    _Work(
                        inlet, signal,
                        sum(cost.modulated if second else cost.standard for cost in costs),
                        sum(cost.update for cost in costs) if second or not answers else 0.0,
                        outlet, carry,
                        last=(second or not answers) and not 0 <= following <= top,
                    )
                )  # fmt: skip
            found.append(row)
        return found

    def _onward(self, index: int, name: str, down: bool) -> tuple[_Port | None, Carry | None]:
        """Where a stage sends what it has computed."""
        target = index - 1 if down else index + 1
        if target in self.stages:
            return (self.above if down else self.below)[target], self.world.carry(index, target, name)
        if name == self.route.passes[0]:
            return self.outputs, self.world.carry(index, COORDINATOR, name)
        return None, None
