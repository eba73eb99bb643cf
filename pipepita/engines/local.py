"""The local engine: all stages in this process and this thread.

The order in which stages run differs from the ray engine's; the order in which each stage works does not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipepita.channels.memory import MemoryChannel
from pipepita.errors import RunError, UserError
from pipepita.pipeline import loop
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.pulse import Pulse, Vitals
from pipepita.pipeline.stage import Stage, State, compute_mode
from pipepita.pipeline.wiring import COORDINATOR, DONE, SIGNAL, Plan, mirrors, port, signals, wires
from pipepita.timeline.recorder import Spans, stage_recorder


class LocalEngine:
    """Builds pipelines of in-memory channels. device: "cpu", "cuda", or "auto" (CUDA where there is one)."""

    name = "local"

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
        """Nothing to give back."""


class LocalPipeline:
    """Stages as coroutines; whoever waits for a message runs them until it is there."""

    def __init__(self, plan: Plan) -> None:
        self._schedule = plan.schedule
        self.threads, self.classes, self.depth = plan.stages[0].threads, plan.stages[0].classes, len(plan.stages)
        self.mirrors = mirrors(plan)
        self._stages = [Stage(spec, stage_recorder(plan.record, len(spec.layers))) for spec in plan.stages]
        ports: list[dict[str, MemoryChannel]] = [{} for _ in plan.stages]
        sent: dict[str, MemoryChannel] = {}
        self.done: list[MemoryChannel] = []
        for wire in wires(plan):
            channel = MemoryChannel(self._pump if wire.target == COORDINATOR else None)
            for end in (wire.source, wire.target):
                if end != COORDINATOR:
                    ports[end][port(wire, end)] = channel
            match wire.name.partition("-")[0]:
                case "samples":
                    self.samples = channel
                case "outputs":
                    self.outputs = channel
                case kind if kind == SIGNAL:
                    sent[wire.name] = channel
                case kind if kind == DONE:
                    self.done.append(channel)
        self.signals = {name: [sent[wire] for wire in found] for name, found in signals(plan).items()}
        self._ports = [loop.Ports(**found) for found in ports]
        self._vitals = [Vitals() for _ in plan.stages]
        self._running: list[tuple[loop.Loop, MemoryChannel] | None] = []

    def train(self, first: int, lr: float) -> None:
        for stage in self._stages:
            stage.begin(lr)
        self._start([loop.train(s, p, self._schedule, first) for s, p in zip(self._stages, self._ports, strict=True)])

    def align(self, epoch: int) -> None:
        above: Tensor | None = None
        with compute_mode(self.threads):
            for stage in reversed(self._stages):
                above = stage.align(epoch, above)

    def evaluate(self) -> None:
        self._start([loop.evaluate(s, p) for s, p in zip(self._stages, self._ports, strict=True)])

    def _start(self, loops: list[loop.Loop]) -> None:
        with compute_mode(self.threads):
            self._running = [(running, next(running)) for running in loops]  # type: ignore[misc]

    def _pump(self, until: MemoryChannel | None = None) -> bool:
        """Runs stages in turn, a message each, until `until` holds one or all wait; whether any could run."""
        ran = False
        with compute_mode(self.threads):
            while until is None or not len(until):
                again = [self._advance(index) for index in range(len(self._running))]
                if not any(again):
                    break
                ran = True
        return ran

    def _advance(self, index: int) -> bool:
        """Lets one stage work on its next message, if it is there."""
        current = self._running[index]
        if current is None or not len(current[1]):
            return False
        running, inlet = current
        try:
            message = inlet.receive()
            self._vitals[index].goes_on(message.step)
            self._running[index] = (running, running.send(message))  # type: ignore[assignment]
        except StopIteration:
            self._running[index] = None
        finally:
            self._vitals[index].waits()
        return True

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
