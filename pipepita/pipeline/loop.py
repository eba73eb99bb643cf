"""What a stage does between two drained moments, as a coroutine: it yields the inlet that it waits for.

Whoever drives it decides how to wait: an actor blocks on the inlet, the local engine runs the other stages meanwhile.
The order of work comes from the schedule, never from who happens to be ready first; that makes runs repeatable.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor

from pipepita.channels.channel import DONE, END, EVALUATE, Inlet, Message, Outlet
from pipepita.channels.delayed import DelayedInlet
from pipepita.errors import RunError
from pipepita.pipeline.stage import Stage
from pipepita.schedule import Flow, Schedule
from pipepita.timeline.recorder import RECEIVE, SEND

Loop = Generator[Inlet, Message, None]


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

    def begin(self, began: float) -> None:
        """The run began at `began`, seconds of the host's clock: emulated links count from there."""
        for inlet in (self.upstream, self.above, self.signal):
            if isinstance(inlet, DelayedInlet):
                inlet.began = began

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
    rule, last_stage = stage.spec.rule, stage.spec.layers[-1].number == stage.spec.total
    first_pass, last_pass = rule.passes[0], rule.passes[-1]
    groups = stage.groups(schedule)  # mostly one, of all layers: part 0 of 0
    top = len(groups) - 1
    reads = {(name, part): stage.reads(name, group) for name in rule.passes for part, group in enumerate(groups)}
    held: dict[int, list[Message]] = {}  # messages whose tensors are in use until the update
    between: dict[tuple[str, int, int], Tensor] = {}  # what one group has left for the next: (pass, sample, part)
    end, due_above = None, first  # the sample that will not come, and the one that the stage above gets next
    lap = stage.recorder.lap
    stage.recorder.start()
    actions = schedule.actions(first, rule.passes, [group.window for group in groups])
    for name, step, part in actions:
        wants, group = reads[name, part], groups[part]
        down = wants.downstream or (name != first_pass and rule.flow is Flow.DOWN)
        arriving = signal = None
        messages = held.setdefault(step, [])
        if not (wants.upstream or wants.downstream):
            pass  # from the signal alone
        elif part != (top if down else 0):
            arriving = between.pop((name, step, part))
        else:
            inlet = ports.above if down else ports.upstream
            assert inlet is not None
            message = yield inlet
            if message.kind == END:
                actions.end(step)
                del held[step]
                end = step
                if due_above == end and not last_stage:
                    ports.downstream.send(END, step)
                continue
            arriving = _taken(message, name, step, stage, messages)
        if wants.signal:
            assert ports.signal is not None
            signal = _taken((yield ports.signal), name, step, stage, messages)
        lap(RECEIVE, name, step)
        if name == first_pass:
            assert arriving is not None
            going: Tensor | None = stage.standard(step, arriving, signal, group)
        else:
            going = stage.second(step, arriving, signal, group)
        following = part - 1 if down else part + 1
        if going is not None and 0 <= following <= top:
            between[name, step, following] = going
        elif going is not None:  # sent on before the update, which nobody waits for there
            outlet = ports.below if down else ports.downstream
            assert outlet is not None
            outlet.send(name, step, going)
            lap(SEND, name, step)
        if name == first_pass and part == top:
            due_above = step + 1
            if due_above == end and not last_stage:
                ports.downstream.send(END, end)
        if name in rule.updates:
            stage.update(step, group, name)
        if name == last_pass and not 0 <= following <= top:
            for message in held.pop(step):
                message.release()
            if ports.done is not None:
                ports.done.send(DONE, step)


def _taken(message: Message, name: str, step: int, stage: Stage, held: list[Message]) -> Tensor | None:
    """The tensor of a message that must be sample `step`'s for pass `name`."""
    if (message.kind, message.step) != (name, step):
        raise RunError(f"sample {message.step}'s {message.kind} pass arrived when sample {step}'s {name} pass was due")
    stage.arrives(message.sent)
    held.append(message)
    return message.tensor


def evaluate(stage: Stage, ports: Ports) -> Loop:
    """Forward passes without dropout until the coordinator ends them."""
    last_stage = stage.spec.layers[-1].number == stage.spec.total
    while True:
        message = yield ports.upstream
        if message.kind == END:
            if not last_stage:
                ports.downstream.send(END, message.step)
            return
        if message.tensor is None or message.kind != EVALUATE:
            raise RunError(f"stage {stage.spec.index} got {message.kind} {message.step} during an evaluation")
        ports.downstream.send(EVALUATE, message.step, stage.evaluate(message.tensor))
        message.release()
