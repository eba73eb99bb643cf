"""The local engine: all stages in this process and this thread.

Stages take turns here, and run side by side on the ray engine. The order in which each stage works is the same on both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pipepita.channels.channel import Inlet
from pipepita.channels.memory import MemoryChannel
from pipepita.errors import RunError, UserError
from pipepita.pipeline import loop
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.pulse import Pulse, Vitals
from pipepita.pipeline.stage import compute_mode
from pipepita.pipeline.state import State
from pipepita.pipeline.wiring import DONES, OUTPUTS, SAMPLES, SIGNAL, Plan, kind, port, told, wires
from pipepita.schedule.topology import COORDINATOR
from pipepita.timeline.recorder import Spans, stage_recorder


class LocalEngine:
    """Runs all stages in this process, one after the other. It can be used for many runs.

    Args:
        device: "cpu", "cuda", or "auto" (CUDA if there is a device).

    Raises:
        UserError: The device is unknown, or this machine does not have it.

    Example:
        >>> import pipepita as pp
        >>> engine = pp.LocalEngine("cpu")
        >>> data = pp.load("digits")
        >>> model = pp.build("fc:32x2", data.item_shape, data.classes)
        >>> pp.train(model, data, engine=engine, epochs=1, stages=3).engine
        'local'
    """

    name = "local"
    most_stages: int | None = None

    def __init__(self, device: str = "auto") -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise UserError(f"unknown device {device!r}: one of auto, cpu, cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("device 'cuda': this machine has no CUDA device; use auto or cpu")
        self._device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"

    def devices(self, stages: int) -> list[str]:
        return [self._device] * stages

    def open(self, plan: Plan) -> Pipeline:
        return LocalPipeline(plan)

    def repair(self, stop: Callable[[], bool] = lambda: False) -> list[int]:
        return []

    def close(self) -> None:
        """There is nothing to give back."""


class LocalPipeline:
    """Stages as coroutines. When the coordinator waits for a message, the stages run until the message is there."""

    def __init__(self, plan: Plan) -> None:
        self._plan, task = plan, plan.task
        self.threads, self.classes, self.depth, self.aligns = (
            task.threads, task.classes, len(plan.stages), task.rule.aligns,
        )  # fmt: skip
        self._stages = [spec.build(stage_recorder(plan.record, len(spec.layers))) for spec in plan.stages]
        ports: list[dict[str, Any]] = [{} for _ in plan.stages]
        signal_channels: dict[int, MemoryChannel] = {}  # by stage
        self.done: list[Inlet] = []
        for wire in wires(plan):
            channel = MemoryChannel(self._pump if wire.target == COORDINATOR else None)
            if wire.source != COORDINATOR:
                ports[wire.source][port(wire, wire.source)] = channel
            if wire.target != COORDINATOR:
                inlet = self._stages[wire.target].inlet(wire.source, channel)
                ports[wire.target][port(wire, wire.target)] = inlet
            if kind(wire) == SAMPLES:
                self.samples = channel
            elif kind(wire) == OUTPUTS:
                self.outputs = plan.inlet(wire.source, channel)
            elif kind(wire) == SIGNAL:
                signal_channels[wire.target] = channel
            elif kind(wire) == DONES:
                self.done.append(plan.inlet(wire.source, channel))
        self.signals = {name: [signal_channels[stage] for stage in those] for name, those in told(plan).items()}
        self._ports = [loop.Ports(**by_name) for by_name in ports]
        self._vitals = [Vitals() for _ in plan.stages]
        self._running: list[tuple[loop.Loop, Inlet] | None] = []

    def train(self, first: int, lr: float) -> None:
        self._plan.begins()
        for stage in self._stages:
            stage.begin(lr)
        schedule = self._plan.schedule
        self._start([loop.train(s, p, schedule, first) for s, p in zip(self._stages, self._ports, strict=True)])

    def align(self, epoch: int) -> None:
        above: Tensor | None = None
        with compute_mode(self.threads):
            for stage in reversed(self._stages):
                above = stage.align(epoch, above)

    def evaluate(self) -> None:
        self._start([loop.evaluate(s, p) for s, p in zip(self._stages, self._ports, strict=True)])

    def _start(self, loops: list[loop.Loop]) -> None:
        with compute_mode(self.threads):
            self._running = [(running, next(running)) for running in loops]

    def _pump(self, until: MemoryChannel | None = None) -> bool:
        """Runs the stages in turn, one message each, until the channel `until` holds a message or all stages wait.

        Returns whether any stage could run.
        """
        ran = False
        with compute_mode(self.threads):
            while until is None or not len(until):
                advanced = [self._advance(index) for index in range(len(self._running))]
                if not any(advanced):
                    break
                ran = True
        return ran

    def _advance(self, index: int) -> bool:
        """Lets one stage work on its next message; whether there was one."""
        current = self._running[index]
        if current is None or not current[1].waiting():
            return False
        running, inlet = current
        try:
            message = inlet.receive()
            self._vitals[index].goes_on(message.step)
            self._running[index] = (running, running.send(message))
        except StopIteration:
            self._running[index] = None
        finally:
            self._vitals[index].waits()
        return True

    def catch_up(self) -> None:
        self._pump()

    def join(self) -> None:
        self._pump()
        if any(self._running):
            raise RunError("a stage of the local engine still waits for a message")

    def state(self) -> State:
        return State.merged(stage.state() for stage in self._stages)

    def load(self, state: State) -> None:
        for stage in self._stages:
            stage.load(state)

    def pulses(self) -> list[Pulse]:
        return [vitals.pulse(ports.waiting()) for vitals, ports in zip(self._vitals, self._ports, strict=True)]

    def timeline(self) -> list[Spans]:
        return [stage.recorder.spans() for stage in self._stages]

    def non_finite(self) -> str | None:
        return next(filter(None, (stage.non_finite() for stage in self._stages)), None)

    def close(self) -> None:
        self._running = []
        for ports in self._ports:
            ports.close()
