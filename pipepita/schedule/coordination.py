"""What the coordinator does in virtual time: it admits samples, and answers their outputs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from pipepita.schedule.course import Arrival, Course
from pipepita.schedule.decisions import Order
from pipepita.schedule.order import Schedule
from pipepita.schedule.topology import COORDINATOR, Topology
from pipepita.schedule.virtual import Loop, Loops, Port, receive
from pipepita.schedule.world import World


class Ports:
    """All ports of a simulated pipeline.

    Attributes:
        below: Per stage: messages from the stage below, or the samples.
        above: Per stage: messages from the stage above.
        signal: Per stage: the target or the error, from the coordinator.
        done: Per stage: its reports of updates.
        outputs: The outputs, on their way to the coordinator.
        decided: Per stage: what is next, if the coordinator decides it. A message is (0 for the first pass, 1 for the
            second, 2 for the end; the number of the sample; 0).
    """

    def __init__(self, stages: int) -> None:
        self.below, self.above, self.signal, self.done, self.decided = (
            [Port() for _ in range(stages)] for _ in range(5)
        )
        self.outputs = Port()

    def all(self) -> list[Port]:
        """Every port."""
        return [self.outputs, *self.below, *self.above, *self.signal, *self.done, *self.decided]


class Coordination:
    """The coordinator of a simulated pipeline.

    Args:
        schedule: The schedule.
        topology: The stages and their messages.
        world: How long everything takes.
        loops: Carries messages.
        ports: Where they go.
        course: Where it is noted what happened.
        samples: How many samples enter, or fewer if the world has fewer.

    Attributes:
        end: The first sample that does not exist, as far as is known.
    """

    def __init__(
        self, schedule: Schedule, topology: Topology, world: World, loops: Loops, ports: Ports, course: Course,
        samples: int,
    ) -> None:  # fmt: skip
        self._schedule, self._world, self._loops, self._ports = schedule, world, loops, ports
        self._course, self._samples, self.end = course, samples, samples
        self._admit, *self._second = passes = topology.route.passes
        self._enter_first = world.carry(COORDINATOR, 0, self._admit)
        self._told: dict[str, list[tuple[Port, Callable[[float], float]]]] = {
            name: [(ports.signal[stage], world.carry(COORDINATOR, stage, name)) for stage in topology.told(name)]
            for name in passes
        }
        self._ahead = schedule.in_flight(len(topology.parts), passes)
        self._now = 0.0
        self._output: Arrival | None = None  # one that has arrived, and is not answered yet

    def fixed(self, order: Sequence[tuple[bool, int, int]]) -> Loop:
        """Works in an order that is known: (whether it is an answer, the number of the sample, 0)."""
        for answers, step, _ in order:
            if step >= self.end:
                continue
            if answers:
                yield from self._answer(step)
                continue
            if self._schedule.waits and step:
                for port in self._ports.done:
                    self._now = max(self._now, (yield from receive(port))[0])
            if not self._enter():
                self._finish(step)

    def adaptive(self) -> Loop:
        """Decides after each action what is next, and tells it to all stages."""
        order = Order()
        entered = answered = 0
        ended = False
        while not ended or answered < entered:
            in_flight, window = entered - answered, 0 if ended else self._ahead
            sample_first = (yield from self._sample_is_first()) if 0 < in_flight < window else False
            if not order.enters(in_flight, window, lambda first=sample_first: first):  # type: ignore[misc]
                if self._second:
                    self._tell(1, answered)
                yield from self._answer(answered)
                answered += 1
            elif entered < self._samples and self._enter():
                self._tell(0, entered)
                entered += 1
            else:
                ended = True
                order.withdraw()
        self._tell(2, entered)
        self._course.order = order.mark() if self._second else []

    def _tell(self, what: int, step: int) -> None:
        for port in self._ports.decided:
            self._loops.send(port, (what, step, 0))

    def _sample_is_first(self) -> Generator[Port, None, bool]:
        """Whether a sample arrives before the next output."""
        if self._output is None:
            if self._world.arrival(self._now) <= self._now:
                return True
            self._output = Arrival(*(yield from receive(self._ports.outputs)))
        return self._world.arrival(self._now) <= max(self._now, self._output.time)

    def _enter(self) -> bool:
        """Lets the next sample enter. Returns whether there is one."""
        world, course = self._world, self._course
        due = world.take(self._now)
        if due is None:
            return False
        now = self._now = due
        course.admitted.append(now)
        course.updates.append(Arrival(0.0, 0.0, 0.0))
        there = self._enter_first(now)
        self._loops.send(self._ports.below[0], (there, 0.0, there - now))
        for port, carry in self._told[self._admit]:
            there = carry(now)
            self._loops.send(port, (there, 0.0, there - now))
        return True

    def _answer(self, step: int) -> Loop:
        """Receives the next output and sends its error."""
        output = self._output or Arrival(*(yield from receive(self._ports.outputs)))
        self._output = None
        self._course.outputs.append(output)
        now = self._now = max(self._now, output.time)
        if not self._second:
            return
        now = self._now = self._world.answer(step, output.time, now)
        for port, carry in self._told[self._second[0]]:
            there = carry(now)
            self._loops.send(port, (there, output.computed, output.travelled + there - now))

    def _finish(self, step: int) -> None:
        """There is no sample `step`: wakes all that wait for it."""
        self.end = step
        for port in self._ports.all():
            self._loops.wake(port)
