"""Simulates a pipeline in virtual time, by max-plus recurrences over the order in which the stages work.

    begin = max(the stage is free, its message has arrived)        end = begin + how long the pass takes

A stage sends on its result before it updates. The order of each stage's work is the one that the engines use,
`Schedule.actions`. A `World` says how long things take. So the same recurrences serve for a clock diagram in slots and
for a chain of devices in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import NamedTuple

from pipepita.errors import RunError
from pipepita.schedule import Action, Schedule
from pipepita.schedule.course import Arrival, Course
from pipepita.schedule.topology import COORDINATOR, Route, Topology, Travels, Visit
from pipepita.schedule.world import Carry, World

UPDATED = "updated"  # the message by which a stage tells a waiting coordinator that it has updated itself
_COLLECT = "collect"
Seen = Callable[[int, Action, float, float, float], None]

# an `Arrival` as a plain tuple, since there are millions
_Message = tuple[float, float, float]


class _Port:
    """Where messages arrive, in the order of sending."""

    __slots__ = ("messages", "waiter")

    def __init__(self) -> None:
        self.messages: deque[_Message] = deque()
        self.waiter: _Loop | None = None


_Loop = Generator[_Port, None, None]


class _Work(NamedTuple):
    """One pass through one group of a stage's layers."""

    inlet: _Port  # where the message that the pass starts from arrives
    signal: _Port | None  # where the coordinator's signal arrives, if the pass needs it beside that message
    seconds: float  # how long the pass takes
    update: float  # how long the update after it takes
    outlet: _Port | None  # where the result goes
    carry: Carry | None  # when it arrives there; None if the outlet is at the same stage
    last: bool  # whether the stage is done with the sample after this update


def run(
    schedule: Schedule,
    world: World,
    samples: int,
    route: Travels = Route(),
    seen: Seen | None = None,
) -> Course:
    """Simulates a pipeline.

    Args:
        schedule: The schedule.
        world: How long everything takes.
        samples: How many samples enter, or fewer if the world has fewer.
        route: The rule, or what it says about its passes.
        seen: Called for every pass with (stage, action, begin, end, the end of the update after it), in order for each
            stage.

    Raises:
        RunError: Some stage waits for a message that nobody sends.
    """
    return _Simulation(schedule, world, samples, route, seen).run()


class _Simulation:
    def __init__(
        self,
        schedule: Schedule,
        world: World,
        samples: int,
        route: Travels,
        seen: Seen | None,
    ) -> None:
        self.schedule, self.world, self.route, self.seen = schedule, world, route, seen
        self.topology = Topology(route, world.parts)
        self.samples = self.end = samples
        self.stages = range(len(world.parts))
        self.course = Course(busy=[0.0 for _ in self.stages])
        # one per stage: messages from below, from above, and from the coordinator, and its reports of updates
        self.below, self.above, self.signal, self.done = ([_Port() for _ in self.stages] for _ in range(4))
        self.outputs = _Port()
        self._ready: list[_Loop] = []
        self._orders: dict[tuple[tuple[str, ...], tuple[int, ...]], list[tuple[bool, int, int]]] = {}

    def run(self) -> Course:
        self._ready = [self.coordinator(), *(self.stage(index) for index in self.stages)]
        unfinished = len(self._ready)
        while self._ready:
            one = self._ready.pop()
            port = next(one, None)
            if port is None:
                unfinished -= 1
            else:
                port.waiter = one
        if unfinished:
            raise RunError(f"{unfinished} of the pipeline's loops wait for messages that nobody sends")
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
        """(whether it is the second pass, step, part) for all passes; stages with equal windows share the list."""
        key = passes, tuple(windows)
        if key not in self._orders:
            actions = self.schedule.actions(0, passes, windows)
            order = self._orders[key] = []
            for name, step, part in actions:
                if name == passes[0] and step == self.samples:
                    actions.end(step)
                else:
                    order.append((name != passes[0], step, part))
        return self._orders[key]

    def coordinator(self) -> _Loop:
        world, course = self.world, self.course
        admit, *answers = self.route.passes
        ahead = self.schedule.in_flight(len(self.stages), self.route.passes)
        enter = world.carry(COORDINATOR, 0, admit)
        told = {
            name: [(self.signal[stage], world.carry(COORDINATOR, stage, name)) for stage in self.topology.told(name)]
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
        """There is no sample `step`: wakes all that wait for it."""
        self.end = step
        for port in (self.outputs, *self.below, *self.above, *self.signal, *self.done):
            if port.waiter is not None:
                self._ready.append(port.waiter)
                port.waiter = None

    def stage(self, index: int) -> _Loop:
        visits = self.topology.visits(index, self.schedule)
        own = _Port()  # for a second pass that waits for nothing but the stage's own first pass
        works = self._works(index, visits, own)
        alone = any(work.inlet is own for work in works[-1])
        windows = [visit.group.window for (name, _), visit in visits.items() if name == self.route.passes[0]]
        course, seen, send = self.course, self.seen, self.send
        finish = self.world.finish if self.world.eventful else None
        name, other = self.route.passes[0], self.route.passes[-1]
        waits = self.schedule.waits
        report = self.world.carry(index, COORDINATOR, UPDATED) if waits else None
        free = busy = 0.0
        for second, step, part in self.order(self.route.passes, windows):
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
            paused = 0.0 if finish is None else self.world.standstill(index, begin, end)
            computed, travelled = message[1] + end - begin - paused, message[2]
            if outlet is not None:
                there = end if carry is None else carry(end)
                send(outlet, (there, computed, travelled + there - end))
            if alone and not second and part == len(works[0]) - 1:
                own.messages.append((end, computed, travelled))
            free = end + update if finish is None or not update else finish(index, end, update)
            if seen is not None:
                seen(index, Action(other if second else name, step), begin, end, free)
            busy += free - begin - paused
            worked = free - end
            if update and finish is not None:
                worked -= self.world.standstill(index, end, free)
                busy -= free - end - worked
            if last:
                if free > course.updates[step][0]:
                    course.updates[step] = Arrival(free, computed + worked, travelled)
                if report is not None:
                    send(self.done[index], (report(free), 0.0, 0.0))
        course.busy[index] = busy

    def _works(self, index: int, visits: Mapping[tuple[str, int], Visit], own: _Port) -> list[list[_Work]]:
        """What the stage does: for the standard pass and then for the second pass, one entry per group of layers."""
        admit, *answers = self.route.passes
        works = []
        for name in self.route.passes:
            here = [visit for (of, _), visit in visits.items() if of == name]
            between = [_Port() for _ in here]  # what one group computed for the next
            second = name != admit
            updates = second or not answers
            row = []
            for part, visit in enumerate(here):
                outlet, carry = self._onward(visit, index, name)
                if visit.after is not None:
                    outlet = between[visit.after]
                inlet = between[part] if visit.before is not None else self._inlet(visit, index)
                signal = self.signal[index] if visit.hears else None
                if inlet is None and signal is None:
                    inlet = own
                costs = [self.world.costs[layer] for layer in range(visit.group.start, visit.group.stop)]
                row.append(
                    _Work(
                        inlet or self.signal[index],
                        signal if inlet is not None else None,  # without an inlet the pass starts from the signal
                        sum(cost.modulated if second else cost.standard for cost in costs),
                        sum(cost.update for cost in costs) if updates else 0.0,
                        outlet, carry,
                        last=updates and visit.ends,
                    )
                )  # fmt: skip
            works.append(row)
        return works

    def _inlet(self, visit: Visit, index: int) -> _Port | None:
        """Where a message from outside the stage arrives; None if nothing arrives but the signal."""
        if visit.source is None:
            return None
        return (self.above if visit.down else self.below)[index]

    def _onward(self, visit: Visit, index: int, name: str) -> tuple[_Port | None, Carry | None]:
        """Where a stage sends what it has computed, and when it arrives there."""
        target = visit.target
        if target is None:
            return None, None
        carry = self.world.carry(index, target, name)
        return (self.outputs if target == COORDINATOR else (self.above if visit.down else self.below)[target]), carry
