"""What a stage does between two drained moments, as a coroutine: it yields the inlet that it waits for.

Whoever drives it decides how to wait: an actor blocks on the inlet, the local engine runs the other stages meanwhile.
The order of work comes from the schedule, never from who happens to be ready first; that makes runs repeatable.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from pipepita.channels.channel import DONE, END, EVALUATE, Inlet, Message, Outlet
from pipepita.errors import RunError
from pipepita.schedule import Schedule
from pipepita.stage import Stage
from pipepita.timeline.recorder import RECEIVE, SEND

Loop = Generator[Inlet, Message, None]


@dataclass
class Ports:
    """One stage's ends of its channels.

    upstream: samples or the stage below. downstream: the stage above, or the coordinator. error: from the coordinator,
    where the stage needs it. done: to the coordinator, where the schedule waits for updates.
    """

    upstream: Inlet
    downstream: Outlet
    error: Inlet | None = None
    done: Outlet | None = None

    def close(self) -> None:
        """Closes every end."""
        for port in (self.upstream, self.downstream, self.error, self.done):
            if port is not None:
                port.close()


def train(stage: Stage, ports: Ports, schedule: Schedule, first: int) -> Loop:
    """Passes and updates from sample `first` until the coordinator says which sample is the last."""
    first_pass, *_ = passes = stage.spec.rule.passes
    reads = {name: stage.reads(name) for name in passes}
    last_stage = stage.spec.layers[-1].number == stage.spec.total
    held: dict[int, list[Message]] = {}
    lap = stage.recorder.lap
    stage.recorder.start()
    actions = schedule.actions(first, passes)
    for action in actions:
        name, step = action
        wants = reads[name]
        arriving = error = None
        messages = held.setdefault(step, [])
        if wants.upstream:
            message = yield ports.upstream
            if message.kind == END:
                actions.end(step)
                del held[step]
                if not last_stage:
                    ports.downstream.send(END, message.step)
                continue
            _expect(message, name, step)
            stage.arrives(message.sent)
            messages.append(message)
            arriving = message.tensor
        if wants.error:
            assert ports.error is not None
            message = yield ports.error
            _expect(message, name, step)
            stage.arrives(message.sent)
            messages.append(message)
            error = message.tensor
        lap(RECEIVE, name, step)
        if name == first_pass:
            assert arriving is not None
            ports.downstream.send(name, step, stage.standard(step, arriving))
            lap(SEND, name, step)
            continue
        going = stage.second(step, arriving, error)
        if going is not None:  # sent on before the update, which nobody upstairs waits for
            ports.downstream.send(name, step, going)
            lap(SEND, name, step)
        stage.update(step)
        for message in held.pop(step):
            message.release()
        if ports.done is not None:
            ports.done.send(DONE, step)


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


def _expect(message: Message, name: str, step: int) -> None:
    if (message.kind, message.step) != (name, step):
        raise RunError(f"sample {message.step}'s {message.kind} pass arrived when sample {step}'s {name} pass was due")
