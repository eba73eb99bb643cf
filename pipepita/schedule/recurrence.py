"""Simulates a pipeline in virtual time, by max-plus recurrences over the order in which the stages work.

    begin = max(the stage is free, its message has arrived)        end = begin + how long the pass takes

A stage sends on its result before it updates. The order of each stage's work is the one that the engines use,
`Schedule.actions`. A `World` says how long things take. So the same recurrences serve for a clock diagram in slots and
for a chain of devices in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pipepita.schedule import Action, Schedule
from pipepita.schedule.coordination import Coordination, Ports
from pipepita.schedule.course import Arrival, Course
from pipepita.schedule.topology import COORDINATOR, Route, Topology, Travels, Visit
from pipepita.schedule.virtual import Loop, Loops, Port, receive
from pipepita.schedule.world import Carry, World

UPDATED = "updated"  # the message by which a stage tells a waiting coordinator that it has updated itself
_COLLECT = "collect"
Seen = Callable[[int, Action, float, float, float], None]


class _Work(NamedTuple):
    """One pass through one group of a stage's layers."""

    inlet: Port  # where the message that the pass starts from arrives
    signal: Port | None  # where the coordinator's signal arrives, if the pass needs it beside that message
    seconds: float  # how long the pass takes
    ahead: float  # how much longer, if another sample is in flight at the stage
    update: float  # how long the update after it takes
    outlet: Port | None  # where the result goes
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
        self.samples = samples
        self.stages = range(len(world.parts))
        self.course = Course(busy=[0.0 for _ in self.stages])
        self._loops, self._ports = Loops(), Ports(len(self.stages))
        self._coordination = Coordination(
            schedule, self.topology, world, self._loops, self._ports, self.course, samples
        )
        self._orders: dict[tuple[tuple[str, ...], tuple[int, ...]], list[tuple[bool, int, int]]] = {}

    def run(self) -> Course:
        self._loops.run([self.coordinator(), *(self.stage(index) for index in self.stages)])
        return self.course

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

    def coordinator(self) -> Loop:
        if self.schedule.adapts:
            return self._coordination.adaptive()
        admit, *answers = self.route.passes
        ahead = self.schedule.in_flight(len(self.stages), self.route.passes)
        return self._coordination.fixed(self.order((admit, *(answers or [_COLLECT])), [ahead]))

    def stage(self, index: int) -> Loop:
        visits = self.topology.visits(index, self.schedule)
        own = Port()  # for a second pass that waits for nothing but the stage's own first pass
        works = self._works(index, visits, own)
        alone = any(work.inlet is own for work in works[-1])
        windows = [visit.group.window for (name, _), visit in visits.items() if name == self.route.passes[0]]
        course, seen, send = self.course, self.seen, self._loops.send
        coordination, decided = self._coordination, self._ports.decided[index]
        finish = self.world.finish if self.world.eventful else None
        name, other = self.route.passes[0], self.route.passes[-1]
        waits = self.schedule.waits
        report = self.world.carry(index, COORDINATOR, UPDATED) if waits else None
        free = busy = 0.0
        in_flight = 0
        order = None if self.schedule.adapts else iter(self.order(self.route.passes, windows))
        while True:
            if order is not None:
                following = next(order, None)
                if following is None:
                    break
                second, step, part = following
            else:
                what, number, _ = yield from receive(decided)
                if what > 1:
                    break
                second, step, part = bool(what), int(number), 0
            inlet, signal, seconds, ahead, update, outlet, carry, last = works[second][part]
            while not inlet.messages and step < coordination.end:
                yield inlet
            if step >= coordination.end:
                continue
            message = inlet.messages.popleft()
            if signal is not None:
                while not signal.messages:
                    yield signal
                message = max(message, signal.messages.popleft())
            begin = max(free, message[0])
            if ahead and in_flight > (part > 0):  # its own first part has begun already
                seconds += ahead
            end = begin + seconds if finish is None else finish(index, begin, seconds)
            paused = 0.0 if finish is None else self.world.standstill(index, begin, end)
            computed, travelled = message[1] + end - begin - paused, message[2]
            if outlet is not None:
                there = end if carry is None else carry(end)
                send(outlet, (there, computed, travelled + there - end))
            if alone and not second and part == len(works[0]) - 1:
                own.messages.append((end, computed, travelled))
            if not second and part == 0:
                in_flight += 1
            if last:
                in_flight -= 1
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
                    send(self._ports.done[index], (report(free), 0.0, 0.0))
        course.busy[index] = busy

    def _works(self, index: int, visits: Mapping[tuple[str, int], Visit], own: Port) -> list[list[_Work]]:
        """What the stage does: for the standard pass and then for the second pass, one entry per group of layers."""
        admit, *answers = self.route.passes
        works = []
        for name in self.route.passes:
            here = [visit for (of, _), visit in visits.items() if of == name]
            between = [Port() for _ in here]  # what one group computed for the next
            second = name != admit
            updates = second or not answers
            row = []
            for part, visit in enumerate(here):
                outlet, carry = self._onward(visit, index, name)
                if visit.after is not None:
                    outlet = between[visit.after]
                inlet = between[part] if visit.before is not None else self._inlet(visit, index)
                signal = self._ports.signal[index] if visit.hears else None
                if inlet is None and signal is None:
                    inlet = own
                costs = [self.world.costs[layer] for layer in range(visit.group.start, visit.group.stop)]
                row.append(
                    _Work(
                        inlet or self._ports.signal[index],
                        signal if inlet is not None else None,  # without an inlet the pass starts from the signal
                        sum(cost.modulated if second else cost.standard for cost in costs),
                        0.0 if second else sum(cost.ahead for cost in costs),
                        sum(cost.update for cost in costs) if updates else 0.0,
                        outlet, carry,
                        last=updates and visit.ends,
                    )
                )  # fmt: skip
            works.append(row)
        return works

    def _inlet(self, visit: Visit, index: int) -> Port | None:
        """Where a message from outside the stage arrives; None if nothing arrives but the signal."""
        if visit.source is None:
            return None
        return (self._ports.above if visit.down else self._ports.below)[index]

    def _onward(self, visit: Visit, index: int, name: str) -> tuple[Port | None, Carry | None]:
        """Where a stage sends what it has computed, and when it arrives there."""
        target = visit.target
        if target is None:
            return None, None
        carry = self.world.carry(index, target, name)
        ports = self._ports
        there = ports.outputs if target == COORDINATOR else (ports.above if visit.down else ports.below)[target]
        return there, carry
