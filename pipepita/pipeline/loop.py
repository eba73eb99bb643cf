"""What a stage does between two drained moments, as a coroutine: it yields the inlet that it waits for.

Whoever drives it decides how to wait: an actor blocks on the inlet, the local engine runs the other stages meanwhile.
The order of work comes from the schedule, and where messages come from and go to from the topology; who happens to be
ready first decides nothing. That makes runs repeatable.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor

from pipepita.channels.channel import DONE, END, EVALUATE, Inlet, Message, Outlet
from pipepita.errors import RunError
from pipepita.pipeline.stage import Stage
from pipepita.schedule import Action, Schedule
from pipepita.schedule.topology import Visit
from pipepita.timeline.recorder import RECEIVE, SEND

Loop = Generator[Inlet, Message, None]
_Receiving = Generator[Inlet, Message, bool]


@dataclass
class Ports:
    """One stage's ends of its channels.

    upstream: samples or the stage below. downstream: the stage above, or the coordinator. above, below: of a backward
    pass, from the stage above and to the one below. signal: from the coordinator, where the stage needs it. done: to
    the coordinator, where the schedule waits for updates.
    """

    upstream: Inlet
    downstream: Outlet
    above: Inlet | None = None
    below: Outlet | None = None
    signal: Inlet | None = None
    done: Outlet | None = None

    def waiting(self) -> int:
        """How many messages have come and were not taken yet."""
        return sum(inlet.waiting() for inlet in (self.upstream, self.above, self.signal) if inlet is not None)

    def close(self) -> None:
        """Closes every end."""
        for port in (self.upstream, self.downstream, self.above, self.below, self.signal, self.done):
            if port is not None:
                port.close()


def train(stage: Stage, ports: Ports, schedule: Schedule, first: int) -> Loop:
    """Passes and updates from sample `first` until the coordinator says which sample is the last."""
    return _Training(stage, ports, schedule, first).run()


class _Training:
    """The loop's own memory, and one method per phase of a pass."""

    def __init__(self, stage: Stage, ports: Ports, schedule: Schedule, first: int) -> None:
        spec = stage.spec
        self._stage, self._ports, self._rule, self._last_stage = stage, ports, spec.task.rule, spec.last
        self._visits = spec.topology.visits(spec.index, schedule)
        windows = [visit.group.window for (name, _), visit in self._visits.items() if name == self._rule.passes[0]]
        self._actions = schedule.actions(first, self._rule.passes, windows)
        self._lap = stage.recorder.lap
        # messages whose tensors are in use until the update, by sample
        self._held: dict[int, list[Message]] = {}
        # what one group of layers has left for the next one, and what the coordinator has said to all of them
        self._between: dict[tuple[str, int, int], Tensor] = {}
        self._heard: dict[tuple[str, int], Tensor | None] = {}
        self._arriving: Tensor | None = None
        # the sample that will not come, and the one that the stage above gets next
        self._end: int | None = None
        self._due_above = first

    def run(self) -> Loop:
        """Every pass in the schedule's order: what arrives, the pass, what is sent on, the update."""
        self._stage.recorder.start()
        for action in self._actions:
            visit = self._visits[action.name, action.part]
            if not (yield from self._receive(action, visit)):
                continue
            going = self._compute(action, visit)
            # sent on before the update, which nobody waits for there
            self._send(action, visit, going)
            self._update(action, visit)

    def _receive(self, action: Action, visit: Visit) -> _Receiving:
        """Waits for what the pass needs; false if there is no such sample any more."""
        name, step, part = action
        self._arriving = None
        if visit.before is not None:
            self._arriving = self._between.pop((name, step, part))
        elif visit.source is not None:
            inlet = self._ports.above if visit.down else self._ports.upstream
            assert inlet is not None
            message = yield inlet
            if message.kind == END:
                self._ends(step)
                return False
            self._arriving = self._take(message, action)
        if visit.hears:
            assert self._ports.signal is not None
            self._heard[name, step] = self._take((yield self._ports.signal), action)
        self._lap(RECEIVE, name, step)
        return True

    def _take(self, message: Message, action: Action) -> Tensor | None:
        """The tensor of a message that must be this pass's; it stays in use until the sample's update."""
        name, step, _ = action
        if (message.kind, message.step) != (name, step):
            raise RunError(
                f"sample {message.step}'s {message.kind} pass arrived when sample {step}'s {name} pass was due"
            )
        self._held.setdefault(step, []).append(message)
        return message.tensor

    def _ends(self, step: int) -> None:
        """Sample `step` will not come. The stage above hears of it once it has got all samples before."""
        self._actions.end(step)
        self._end = step
        self._tell_above()

    def _tell_above(self) -> None:
        if self._due_above == self._end and not self._last_stage:
            self._ports.downstream.send(END, self._end)

    def _compute(self, action: Action, visit: Visit) -> Tensor | None:
        name, step, _ = action
        signal = self._heard.get((name, step)) if visit.signal else None
        if name != self._rule.passes[0]:
            return self._stage.second(step, self._arriving, signal, visit.group)
        assert self._arriving is not None
        return self._stage.standard(step, self._arriving, signal, visit.group)

    def _send(self, action: Action, visit: Visit, going: Tensor | None) -> None:
        name, step, _ = action
        if visit.after is not None:
            assert going is not None
            self._between[name, step, visit.after] = going
        elif visit.target is not None:
            outlet = self._ports.below if visit.down else self._ports.downstream
            assert outlet is not None and going is not None
            outlet.send(name, step, going)
            self._lap(SEND, name, step)
        if name == self._rule.passes[0] and visit.ends:
            self._due_above = step + 1
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
            if self._ports.done is not None:
                self._ports.done.send(DONE, step)


def evaluate(stage: Stage, ports: Ports) -> Loop:
    """Forward passes without dropout until the coordinator ends them."""
    while True:
        message = yield ports.upstream
        if message.kind == END:
            if not stage.spec.last:
                ports.downstream.send(END, message.step)
            return
        if message.tensor is None or message.kind != EVALUATE:
            raise RunError(f"stage {stage.spec.index} got {message.kind} {message.step} during an evaluation")
        ports.downstream.send(EVALUATE, message.step, stage.evaluate(message.tensor))
        message.release()
