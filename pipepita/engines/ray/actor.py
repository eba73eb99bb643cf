"""The Ray actor that holds one stage. Ray places, watches and addresses it. The data goes over our own channels."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import numpy as np
import ray
from torch import Tensor

from pipepita.channels.channel import Inlet, Message, Outlet, Wire
from pipepita.channels.tls import Identity
from pipepita.channels.transports import Address, Listener, connect, host
from pipepita.machine import cores
from pipepita.pipeline import loop
from pipepita.pipeline.pulse import Place, Pulse, Vitals
from pipepita.pipeline.stage import Stage, StageSpec, compute_mode
from pipepita.pipeline.state import State
from pipepita.schedule import Schedule
from pipepita.timeline.recorder import Spans, stage_recorder


class StageActor:
    """One stage and its loop. Methods run one at a time, but `where` and `pulse` also answer while the loop runs."""

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._schedule: Schedule | None = None
        self._ports: loop.Ports | None = None
        self._listeners: dict[str, tuple[int, Listener]] = {}  # by port, with the index of the stage that sends
        self._outlets: dict[str, Outlet] = {}
        self._vitals = Vitals()

    @ray.method(concurrency_group="control")
    def where(self) -> Place:
        """Where this actor runs, for choosing transports and how to wait."""
        node = ray.get_runtime_context().get_node_id()
        return Place.here(host(), ray.util.get_node_ip_address(), cores(), node)

    @ray.method(concurrency_group="control")
    def pulse(self) -> Pulse:
        """How this stage is. Answers while the loop runs."""
        ports = self._ports
        return self._vitals.pulse(ports.waiting() if ports is not None else 0)

    def build(self, spec: StageSpec, schedule: Schedule, record: int) -> None:
        """Makes a new stage, which keeps a timeline of `record` samples. What the actor held before is gone."""
        self.disconnect()
        self._stage, self._schedule = spec.build(stage_recorder(record, len(spec.layers))), schedule

    def listen(
        self, inlets: dict[str, tuple[Wire, str]], secret: bytes, identity: Identity | None
    ) -> dict[str, Address]:
        """Begins to listen on each port for its wire and transport. Returns the address to connect to, by port."""
        address = ray.util.get_node_ip_address()
        for port, (wire, transport) in inlets.items():
            self._listeners[port] = wire.source, Listener(transport, wire, secret, address, identity)
        return {port: listener.address for port, (_, listener) in self._listeners.items()}

    def connect(self, outlets: dict[str, tuple[Wire, Address]], secret: bytes, identity: Identity | None) -> None:
        """Connects the outgoing wire of each port to its address."""
        self._outlets = {port: connect(address, wire, secret, identity) for port, (wire, address) in outlets.items()}

    def ready(self) -> list[str]:
        """Waits for the peers of all incoming wires. Returns one line for each stranger that was turned away."""
        assert self._stage is not None
        inlets = {
            port: self._stage.inlet(source, listener.inlet()) for port, (source, listener) in self._listeners.items()
        }
        turned_away = [line for _, listener in self._listeners.values() for line in listener.refused]
        self._listeners = {}
        ports: dict[str, Any] = {**inlets, **self._outlets}
        self._ports, self._outlets = loop.Ports(**ports), {}
        return turned_away

    def train(self, first: int, lr: float) -> str | None:
        """Runs the training loop until the coordinator ends it.

        Returns the first layer here with a weight that is not finite, or None.
        """
        assert self._stage is not None and self._ports is not None and self._schedule is not None
        self._stage.begin(lr)
        self._drive(loop.train(self._stage, self._ports, self._schedule, first))
        return self._stage.non_finite()

    def evaluate(self) -> None:
        """Runs the evaluation loop until the coordinator ends it."""
        assert self._stage is not None and self._ports is not None
        self._drive(loop.evaluate(self._stage, self._ports))

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """Aligns the feedback of every layer; see `Stage.align`."""
        assert self._stage is not None
        with compute_mode(self._stage.spec.task.threads):
            return self._stage.align(epoch, above)

    def _drive(self, running: Generator[Inlet, Message, None]) -> None:
        assert self._stage is not None
        with compute_mode(self._stage.spec.task.threads):
            try:
                inlet = next(running)
                while True:
                    self._vitals.waits()
                    message = inlet.receive()
                    self._vitals.goes_on(message.step)
                    inlet = running.send(message)
            except StopIteration:
                return
            except BaseException:
                self.disconnect()  # so that the neighbours notice
                raise
            finally:
                self._vitals.waits()

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """What this stage has learnt, as the arrays of its `State`."""
        assert self._stage is not None
        return self._stage.state().arrays()

    def load(self, arrays: dict[str, dict[str, np.ndarray]]) -> None:
        """Puts the arrays of a `State` in place of what the stage has learnt."""
        assert self._stage is not None
        self._stage.load(State.of_arrays(arrays))

    def timeline(self) -> Spans:
        """What the stage recorded, on this host's clock."""
        assert self._stage is not None
        return self._stage.recorder.spans()

    def clock(self) -> int:
        """This host's monotonic clock, in nanoseconds."""
        return time.perf_counter_ns()

    def disconnect(self) -> None:
        """Closes every channel end."""
        for _, listener in self._listeners.values():
            listener.close()
        for outlet in self._outlets.values():
            outlet.close()
        if self._ports is not None:
            self._ports.close()
        self._listeners, self._outlets, self._ports = {}, {}, None
