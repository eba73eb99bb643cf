"""Actors wired up for one plan, with the channels between them and to the coordinator."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from pipepita.channels import handshake, tls
from pipepita.channels.channel import Inlet, Outlet, Wire
from pipepita.channels.tcp import TcpOutlet
from pipepita.channels.transports import TRANSPORTS, Listener, choose, connect, host
from pipepita.engines.ray.cluster import load_ray
from pipepita.engines.ray.diagnosis import DIAGNOSIS_SECONDS, Diagnosis
from pipepita.engines.ray.head import Head
from pipepita.engines.ray.monitor import Monitor, OnPulse
from pipepita.engines.ray.shipping import by_value
from pipepita.engines.ray.watched import WatchedInlet, WatchedOutlet
from pipepita.machine import cores
from pipepita.pipeline.pulse import Place, Pulse
from pipepita.pipeline.state import State
from pipepita.pipeline.wiring import DONES, OUTPUTS, SAMPLES, SIGNAL, Plan, kind, port, told, wires
from pipepita.schedule.topology import COORDINATOR
from pipepita.timeline.recorder import Spans

log = logging.getLogger(__name__)
_CLOCK_CALLS = 20
# A process that sleeps takes tens of microseconds to wake, and longer to be quick again. So a stage with a core to
# itself keeps looking for its next message this long before it sleeps. At batch 1 two stages then took 0.7 of the time
# per sample, locked or relaxed.
_SPIN_SECONDS = 0.0003


class RayPipeline:
    """Actors wired up for one plan, one actor per stage.

    head: of the actors' cluster. transport: of every channel, instead of what the two ends' hosts suggest.
    on_pulse: see `Monitor`. encrypt: what goes from host to host, if `transport` is not given.
    """

    threads = 1

    def __init__(
        self,
        actors: list[Any],
        plan: Plan,
        head: Head,
        transport: str | None = None,
        on_pulse: OnPulse | None = None,
        *,
        encrypt: bool = False,
    ) -> None:
        self._ray = load_ray()
        self._actors, self._plan, self.classes, self.depth = actors, plan, plan.task.classes, len(plan.stages)
        self.aligns = plan.task.rule.aligns
        self._bad_layer: str | None = None  # as the stages said when they had trained
        self._ends: list[Inlet | Outlet] = []
        self._listeners: list[Listener] = []
        self.signals: dict[str, list[Outlet]] = {}
        self.done: list[Inlet] = []
        self._places: dict[int, Place] = {}
        self._diagnosis = Diagnosis(plan.stages, head)
        self._monitor = Monitor(actors, plan.watch, self._end_silent, on_pulse) if plan.watch else None
        try:
            self._connect(transport, encrypt)
        except BaseException:
            self.close()
            raise

    def _connect(self, transport: str | None, encrypt: bool) -> None:
        """Builds the stages, lets all receiving ends listen, then all sending ends connect."""
        secret, all_wires = handshake.new_secret(), wires(self._plan)
        places = self._places = dict(enumerate(self._ask("where")))
        if self._monitor is not None:
            self._monitor.all_there()
        places[COORDINATOR] = Place.here(host(), self._ray.util.get_node_ip_address(), cores())
        by_value(self._plan.task.rule)
        self._each("build", [(s.alone(), self._plan.schedule, self._plan.record) for s in self._plan.stages])

        def transport_of(wire: Wire) -> str:
            return transport or choose(places[wire.source].host, places[wire.target].host, encrypt=encrypt)

        encrypted = any(TRANSPORTS[transport_of(wire)].encrypts for wire in all_wires)
        identity = tls.new_identity() if encrypted else None
        stages = range(len(self._actors))
        spins = self._spins()
        inlets = [
            {port(w, i): (replace(w, spin=spins[i]), transport_of(w)) for w in all_wires if w.target == i}
            for i in stages
        ]
        stage_addresses = self._each("listen", [(by_port, secret, identity) for by_port in inlets])
        listeners = {
            w: Listener(transport_of(w), w, secret, places[COORDINATOR].address, identity)
            for w in all_wires
            if w.target == COORDINATOR
        }
        self._listeners = list(listeners.values())
        addresses = {
            w: listeners[w].address if w in listeners else stage_addresses[w.target][port(w, w.target)]
            for w in all_wires
        }
        outlets = [{port(w, i): (w, addresses[w]) for w in all_wires if w.source == i} for i in stages]
        connecting = [
            a.connect.remote(by_port, secret, identity) for a, by_port in zip(self._actors, outlets, strict=True)
        ]
        signal_outlets: dict[int, Outlet] = {}  # by stage
        for wire in all_wires:
            if wire.source == COORDINATOR:
                end = connect(addresses[wire], wire, secret, identity)
                if isinstance(end, TcpOutlet):
                    self._diagnosis.links[end] = wire.target
                outlet = WatchedOutlet(end, self._diagnosis)
                self._ends.append(outlet)
                if kind(wire) == SAMPLES:
                    self.samples = outlet
                elif kind(wire) == SIGNAL:
                    signal_outlets[wire.target] = outlet
        self.signals = {name: [signal_outlets[stage] for stage in those] for name, those in told(self._plan).items()}
        self._diagnosis.results(connecting)
        for wire, listener in listeners.items():
            inlet = WatchedInlet(self._plan.inlet(wire.source, listener.inlet()), self._diagnosis)
            self._ends.append(inlet)
            if kind(wire) == DONES:
                self.done.append(inlet)
            elif kind(wire) == OUTPUTS:
                self.outputs = inlet
        turned_away = [line for lines in self._ask("ready") for line in lines]
        for line in turned_away:  # strangers at the stages' ends; those at ours have been logged already
            log.warning("%s", line)

    def _spins(self) -> list[float]:
        """How long each stage may spin: not at all if more stages than cores run on its host."""
        places = [self._places[index] for index in range(len(self._actors))]
        hosts = Counter(place.host for place in places)
        return [_SPIN_SECONDS if hosts[place.host] <= place.cores else 0.0 for place in places]

    def train(self, first: int, lr: float) -> None:
        self._plan.begins()
        self._diagnosis.calls = [actor.train.remote(first, lr) for actor in self._actors]

    def align(self, epoch: int) -> None:
        calls: list[Any] = [None]
        for actor in reversed(self._actors):  # each gets what the one above returned, which stays with Ray
            calls.append(actor.align.remote(epoch, calls[-1]))
        self._diagnosis.results(calls[:0:-1])  # in the order of the stages again

    def evaluate(self) -> None:
        self._diagnosis.calls = [actor.evaluate.remote() for actor in self._actors]

    def catch_up(self) -> None:
        """Actors run by themselves."""

    def join(self) -> None:
        self._bad_layer = next(filter(None, self._diagnosis.results(self._diagnosis.calls)), None)
        self._diagnosis.calls = []

    def state(self) -> State:
        return State.merged(map(State.of_arrays, self._ask("state")))

    def load(self, state: State) -> None:
        self._each("load", [(state.of(stage.layers).arrays(),) for stage in self._plan.stages])

    def timeline(self) -> list[Spans]:
        here = self._places[COORDINATOR].host
        shifts = [
            0 if self._places[i].host == here else self._clock_ahead_of(actor) for i, actor in enumerate(self._actors)
        ]
        return [spans.shifted(shift) for spans, shift in zip(self._ask("timeline"), shifts, strict=True)]

    def _clock_ahead_of(self, actor: Any) -> int:
        """How many nanoseconds our clock is ahead of the clock of an actor's host: from the quickest of some calls."""
        guesses = []
        for _ in range(_CLOCK_CALLS):
            began = time.perf_counter_ns()
            theirs = self._diagnosis.results([actor.clock.remote()])[0]
            ended = time.perf_counter_ns()
            guesses.append((ended - began, (began + ended) // 2 - theirs))
        return min(guesses)[1]

    def non_finite(self) -> str | None:
        return self._bad_layer

    def places(self) -> dict[int, Place]:
        """Where each stage runs."""
        return {index: self._places[index] for index in range(len(self._actors))}

    def pids(self) -> list[int]:
        """The process of each stage."""
        return [self._places[index].pid for index in range(len(self._actors))]

    def pulses(self) -> list[Pulse | None]:
        return list(self._monitor.pulses) if self._monitor is not None else self._ask("pulse")

    def _end_silent(self, index: int) -> None:
        """Ends a stage that does not answer: then its channels close, and everybody hears of it."""
        self._diagnosis.fell_silent(index)
        place = self._places.get(index)
        with contextlib.suppress(Exception):
            if place is not None and place.is_known_here():
                os.kill(place.pid, signal.SIGKILL)  # Ray only asks a process to end, and one that hangs does not
            else:
                self._ray.kill(self._actors[index])

    def _ask(self, method: str) -> list[Any]:
        """What every actor's `method` returns, in the order of the stages."""
        return self._diagnosis.results([getattr(actor, method).remote() for actor in self._actors])

    def _each(self, method: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        """The same for a method that takes arguments, which differ from stage to stage."""
        return self._diagnosis.results(
            [getattr(actor, method).remote(*given) for actor, given in zip(self._actors, arguments, strict=True)]
        )

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
        for listener in self._listeners:
            listener.close()
        for end in self._ends:
            end.close()
        calls, self._diagnosis.calls, self._diagnosis.links = self._diagnosis.calls, [], {}
        self._listeners, self._ends = [], []
        if not self._ray.is_initialized():  # the engine was closed first
            return
        with contextlib.suppress(Exception):
            ended, _ = self._ray.wait(calls, num_returns=len(calls), timeout=DIAGNOSIS_SECONDS)
            for call in ended:  # a loop that was running ends with an error; unless somebody asks for it, Ray prints it
                with contextlib.suppress(Exception):
                    self._ray.get(call)
        with contextlib.suppress(Exception):  # an actor that died cannot disconnect, and need not
            self._ray.get([actor.disconnect.remote() for actor in self._actors], timeout=DIAGNOSIS_SECONDS)
