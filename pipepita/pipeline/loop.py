"""What a stage does between two moments without samples in flight, as a coroutine: it yields the inlet it waits for.

The engine decides how to wait: an actor blocks on the inlet, and the local engine runs the other stages meanwhile. The
schedule gives the order of work, and the topology says where messages come from and go to. Which message happens to
arrive first does not matter. That makes runs repeatable.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor

from pipepita.channels.channel import (
    DONE,
    END,
    EVALUATE,
    NEXT_EVALUATE,
    NEXT_FIRST,
    NEXT_SECOND,
    Inlet,
    Message,
    Outlet,
)
from pipepita.errors import RunError
from pipepita.pipeline.stage import Stage
from pipepita.schedule import Action, Schedule
from pipepita.schedule.topology import Visit
from pipepita.timeline.recorder import RECEIVE, SEND

Loop = Generator[Inlet, Message, None]
_Receiving = Generator[Inlet, Message, bool]
_Next = Generator[Inlet, Message, Action | None]


@dataclass
class Ports:
    """One stage's ends of its channels.

    Attributes:
        upstream: From the stage below, or the samples.
        downstream: To the stage above, or the outputs.
        above: From the stage above, for a backward pass.
        below: To the stage below, for a backward pass.
        signal: From the coordinator, if the stage needs the target or the error.
        done: To the coordinator, if the schedule waits for updates.
    """

    upstream: Inlet
    downstream: Outlet
    above: Inlet | None = None
    below: Outlet | None = None
    signal: Inlet | None = None
    done: Outlet | None = None

    def waiting(self) -> int:
        """How many messages have arrived and were not received yet."""
        return sum(inlet.waiting() for inlet in (self.upstream, self.above, self.signal) if inlet is not None)

    def close(self) -> None:
        """Closes every end."""
        for port in (self.upstream, self.downstream, self.above, self.below, self.signal, self.done):
            if port is not None:
                port.close()


def train(stage: Stage, ports: Ports, schedule: Schedule, first: int) -> Loop:
    """Makes passes and updates, beginning with sample `first`, until the coordinator says that there are no more."""
    return _Training(stage, ports, schedule, first).run()


class _Training:
    """The state of the loop, and one method per phase of a pass."""

    def __init__(self, stage: Stage, ports: Ports, schedule: Schedule, first: int) -> None:
        spec = stage.spec
        self._stage, self._ports, self._rule, self._last_stage = stage, ports, spec.task.rule, spec.last
        self._visits = spec.topology.visits(spec.index, schedule)
        windows = [visit.group.window for (name, _), visit in self._visits.items() if name == self._rule.passes[0]]
        self._actions = schedule.actions(first, self._rule.passes, windows)
        self._order = iter(self._actions)
        # if the coordinator decides the order: the inlet whose messages tell it, and one that has told it
        heeds = spec.topology.heeds(spec.index, schedule)
        self._guide = (ports.signal if heeds else ports.upstream) if schedule.adapts else None
        self._told: Message | None = None
        self._lap = stage.recorder.lap
        # by sample: messages whose tensors are needed until the update
        self._held: dict[int, list[Message]] = {}
        # what one group of layers has computed for the next one, and the coordinator's signal to all of them
        self._between: dict[tuple[str, int, int], Tensor] = {}
        self._heard: dict[tuple[str, int], Tensor | None] = {}
        self._arriving: Tensor | None = None
        # the first sample that does not exist, once that is known; and the next sample that is sent to the stage above
        self._end: int | None = None
        self._next_above = first
        self._unfinished = first  # the next sample whose last pass is due

    def run(self) -> Loop:
        """For every pass in the schedule's order: receives, computes, sends on, and updates."""
        self._stage.recorder.start()
        while (action := (yield from self._next())) is not None:
            visit = self._visits[action.name, action.part]
            if not (yield from self._receive(action, visit)):
                continue
            result = self._compute(action, visit)
            # before the update, for which the next stage need not wait
            self._send(action, visit, result)
            self._update(action, visit)

    def _next(self) -> _Next:
        """The next pass; None after the last one."""
        if self._guide is None:
            return next(self._order, None)
        first, last = self._rule.passes[0], self._rule.passes[-1]
        while self._unfinished != self._end:
            message = yield self._guide
            if message.kind not in (END, EVALUATE, NEXT_EVALUATE):
                name = {NEXT_FIRST: first, NEXT_SECOND: last}.get(message.kind)
                self._told = message if name is None else None
                return Action(name or message.kind, message.step)
            if self._guide is not self._ports.upstream:
                message = yield self._ports.upstream  # the same, with the samples
            if message.kind == END:
                self._ends(message.step)
            else:
                _pass_on(self._stage, self._ports, message)
        return None

    def _receive(self, action: Action, visit: Visit) -> _Receiving:
        """Waits for what the pass needs. Returns false if there is no such sample."""
        name, step, part = action
        self._arriving = None
        if visit.before is not None:
            self._arriving = self._between.pop((name, step, part))
        elif visit.source is not None:
            inlet = self._ports.above if visit.down else self._ports.upstream
            assert inlet is not None
            message = yield from self._message(inlet)
            if message.kind == END:
                self._ends(step)
                return False
            self._arriving = self._take(message, action)
        if visit.hears:
            assert self._ports.signal is not None
            self._heard[name, step] = self._take((yield from self._message(self._ports.signal)), action)
        self._lap(RECEIVE, name, step)
        return True

    def _message(self, inlet: Inlet) -> Generator[Inlet, Message, Message]:
        """The next message of `inlet`, which may have told what is next."""
        message = self._told if inlet is self._guide else None
        if message is None:
            return (yield inlet)
        self._told = None
        return message

    def _take(self, message: Message, action: Action) -> Tensor | None:
        """The tensor of a message, which must belong to this pass. It is kept until the sample's update."""
        name, step, _ = action
        if (message.kind, message.step) != (name, step):
            raise RunError(
                f"the {message.kind} pass of sample {message.step} arrived when the {name} pass of {step} was due"
            )
        self._held.setdefault(step, []).append(message)
        return message.tensor

    def _ends(self, step: int) -> None:
        """There is no sample `step`. The stage above is told after it has got all samples before."""
        self._actions.end(step)
        self._end = step
        self._tell_above()

    def _tell_above(self) -> None:
        if self._next_above == self._end and not self._last_stage:
            self._ports.downstream.send(END, self._end)

    def _compute(self, action: Action, visit: Visit) -> Tensor | None:
        name, step, _ = action
        signal = self._heard.get((name, step)) if visit.signal else None
        if name != self._rule.passes[0]:
            return self._stage.second(step, self._arriving, signal, visit.group)
        assert self._arriving is not None
        return self._stage.standard(step, self._arriving, signal, visit.group)

    def _send(self, action: Action, visit: Visit, result: Tensor | None) -> None:
        name, step, _ = action
        if result is None and (visit.after is not None or visit.target is not None):
            raise RunError(f"a learner returned nothing from its {name} pass, whose result goes on to another layer")
        if visit.after is not None:
            self._between[name, step, visit.after] = result  # type: ignore[assignment]
        elif visit.target is not None:
            outlet = self._ports.below if visit.down else self._ports.downstream
            assert outlet is not None and result is not None
            outlet.send(name, step, result)
            self._lap(SEND, name, step)
        if name == self._rule.passes[0] and visit.ends:
            self._next_above = step + 1
            self._tell_above()

    def _update(self, action: Action, visit: Visit) -> None:
        name, step, _ = action
        if name in self._rule.updates:
            self._stage.update(step, visit.group, name)
        if not visit.ends:
            return
        self._heard.pop((name, step), None)
        if name == self._rule.passes[-1]:
            for message in self._held.pop(step, ()):
                message.release()
            self._unfinished = step + 1
            if self._ports.done is not None:
                self._ports.done.send(DONE, step)


def evaluate(stage: Stage, ports: Ports) -> Loop:
    """Makes forward passes without dropout until the coordinator says that there are no more."""
    while True:
        message = yield ports.upstream
        if message.kind == END:
            if not stage.spec.last:
                ports.downstream.send(END, message.step)
            return
        _pass_on(stage, ports, message)


def _pass_on(stage: Stage, ports: Ports, message: Message) -> None:
    """Makes a forward pass that changes nothing."""
    if message.tensor is None or message.kind != EVALUATE:
        raise RunError(f"stage {stage.spec.index} got message {message.kind} {message.step} during an evaluation")
    ports.downstream.send(EVALUATE, message.step, stage.evaluate(message.tensor))
    message.release()
