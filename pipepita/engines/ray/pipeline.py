"""Actors wired up for one plan: the channels between them and to the coordinator, and what becomes of both."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from pipepita.channels import handshake
from pipepita.channels.channel import Inlet, Outlet, Wire
from pipepita.channels.tcp import TcpOutlet
from pipepita.channels.transports import Listener, choose, connect, host
from pipepita.engines.ray.cluster import load_ray
from pipepita.engines.ray.head import Head
from pipepita.engines.ray.monitor import SILENCE_SECONDS, Monitor, OnPulse
from pipepita.engines.ray.shipping import by_value
from pipepita.engines.ray.watched import WatchedInlet, WatchedOutlet
from pipepita.errors import ChannelClosed, Malformed, PipepitaError, RunError, StageDied
from pipepita.machine import cores
from pipepita.pipeline.pulse import Place, Pulse
from pipepita.pipeline.state import State
from pipepita.pipeline.wiring import DONES, OUTPUTS, SAMPLES, SIGNAL, Plan, kind, port, wires
from pipepita.schedule.topology import COORDINATOR
from pipepita.timeline.recorder import Spans

log = logging.getLogger(__name__)
_DIAGNOSIS_SECONDS = 1.5  # how long Ray may take to say which actor died
_LOOK_SECONDS = 0.1  # how often somebody who waits for actors looks whether one of them has failed

_CLOCK_CALLS = 20
# A process that sleeps takes tens of microseconds to wake, and longer to be quick again: with a core to itself a stage
# looks for its next message this long. At batch 1 two stages then took 0.7 of the time a sample, locked or relaxed.
_SPIN_SECONDS = 0.0003


class RayPipeline:
    """Actors wired up for one plan. head: of their cluster. on_pulse: as `Monitor`'s."""

    threads = 1

    def __init__(
        self,
        actors: list[Any],
        plan: Plan,
        head: Head,
        transport: str | None = None,
        on_pulse: OnPulse | None = None,
    ) -> None:
        self._ray, self._head = load_ray(), head
        self._actors, self._plan, self.classes, self.depth = actors, plan, plan.task.classes, len(plan.stages)
        self.aligns = plan.task.rule.aligns
        self._running: list[Any] = []
        self._bad_layer: str | None = None  # as the stages said when they had trained
        self._ends: list[Inlet | Outlet] = []
        self._listeners: list[Listener] = []
        self.signals: dict[str, list[Outlet]] = {}
        self.done: list[Inlet] = []
        self._links: dict[TcpOutlet, int] = {}  # from here, to stages on other hosts
        self._places: dict[int, Place] = {}
        self._silent: StageDied | None = None
        self._monitor = Monitor(actors, plan.watch, self._fallen_silent, on_pulse) if plan.watch else None
        try:
            self._connect(transport)
        except BaseException:
            self.close()
            raise

    def _connect(self, transport: str | None) -> None:
        """Builds the stages, lets all receiving ends listen, then all sending ends connect."""
        secret, everything = handshake.new_secret(), wires(self._plan)
        places = self._places = dict(enumerate(self._ask("where")))
        if self._monitor is not None:
            self._monitor.all_there()
        places[COORDINATOR] = Place(host(), self._ray.util.get_node_ip_address(), cores(), os.getpid())
        by_value(self._plan.task.rule)
        self._each("build", [(s.alone(), self._plan.schedule, self._plan.record) for s in self._plan.stages])

        def transport_of(wire: Wire) -> str:
            return transport or choose(places[wire.source].host, places[wire.target].host)

        stages = range(len(self._actors))
        spins = self._spins()
        inlets = [
            {port(w, i): (replace(w, spin=spins[i]), transport_of(w)) for w in everything if w.target == i}
            for i in stages
        ]
        addresses = self._each("listen", [(found, secret) for found in inlets])
        own = {
            w: Listener(transport_of(w), w, secret, places[COORDINATOR].address)
            for w in everything
            if w.target == COORDINATOR
        }
        self._listeners = list(own.values())
        where = {w: own[w].address if w in own else addresses[w.target][port(w, w.target)] for w in everything}
        outlets = [{port(w, i): (w, where[w]) for w in everything if w.source == i} for i in stages]
        connecting = [a.connect.remote(found, secret) for a, found in zip(self._actors, outlets, strict=True)]
        told: dict[int, Outlet] = {}
        for wire in everything:
            if wire.source == COORDINATOR:
                own_end = connect(where[wire], wire, secret)
                if isinstance(own_end, TcpOutlet):
                    self._links[own_end] = wire.target
                outlet = WatchedOutlet(own_end, self)
                self._ends.append(outlet)
                if kind(wire) == SAMPLES:
                    self.samples = outlet
                elif kind(wire) == SIGNAL:
                    told[wire.target] = outlet
        topology = self._plan.topology
        self.signals = {name: [told[stage] for stage in topology.told(name)] for name in topology.route.passes}
        self._get(connecting)
        for wire, listener in own.items():
            inlet = WatchedInlet(self._plan.inlet(wire.source, listener.inlet()), self)
            self._ends.append(inlet)
            if kind(wire) == DONES:
                self.done.append(inlet)
            elif kind(wire) == OUTPUTS:
                self.outputs = inlet
        turned_away = [line for lines in self._ask("ready") for line in lines]
        for line in turned_away:  # theirs are logged on their own hosts; ours have been here
            log.warning("%s", line)

    def _spins(self) -> list[float]:
        """How long each stage may spin: not at all where more stages than cores run on its host."""
        places = [self._places[index] for index in range(len(self._actors))]
        hosts = Counter(place.host for place in places)
        return [_SPIN_SECONDS if hosts[place.host] <= place.cores else 0.0 for place in places]

    def train(self, first: int, lr: float) -> None:
        self._plan.begins()
        self._running = [actor.train.remote(first, lr) for actor in self._actors]

    def align(self, epoch: int) -> None:
        refs: list[Any] = [None]
        for actor in reversed(self._actors):  # each gets what the one above returned, which stays with Ray
            refs.append(actor.align.remote(epoch, refs[-1]))
        self._get(refs[:0:-1])  # a stage's place in the list says which one died

    def evaluate(self) -> None:
        self._running = [actor.evaluate.remote() for actor in self._actors]

    def join(self) -> None:
        self._bad_layer = next(filter(None, self._get(self._running)), None)
        self._running = []

    def state(self) -> State:
        return State.merged(map(State.of_arrays, self._ask("state")))

    def load(self, state: State) -> None:
        self._each("load", [(state.of(stage.layers).arrays(),) for stage in self._plan.stages])

    def timeline(self) -> list[Spans]:
        here = self._places[COORDINATOR].host
        shifts = [0 if self._places[i].host == here else self._ahead(actor) for i, actor in enumerate(self._actors)]
        return [spans.shifted(shift) for spans, shift in zip(self._ask("timeline"), shifts, strict=True)]

    def _ahead(self, actor: Any) -> int:
        """How many nanoseconds our clock is ahead of the one of an actor's host: from the quickest of some calls."""
        guesses = []
        for _ in range(_CLOCK_CALLS):
            began = time.perf_counter_ns()
            theirs = self._get([actor.clock.remote()])[0]
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

    def _fallen_silent(self, index: int) -> None:
        """Ends a stage that hangs: then its channels close, and everybody hears of it."""
        self._silent = StageDied(
            f"{self._named(index)} has not answered for "
            f"{SILENCE_SECONDS:.0f} s: its process hangs or its node is out of reach",
            index,
        )
        place = self._places.get(index)
        with contextlib.suppress(Exception):
            if place is not None and place.host == host():
                os.kill(place.pid, signal.SIGKILL)  # Ray asks a process to end, which one that hangs does not
            else:
                self._ray.kill(self._actors[index])

    def check(self) -> None:
        """Raises what went wrong, if anything did: `StageDied`, a stage's own error, or that the head is lost."""
        ready, _ = (
            self._ray.wait(self._running, num_returns=len(self._running), timeout=0) if self._running else ([], [])
        )
        if self._trouble(ready):
            raise self.diagnose()

    def _trouble(self, finished: list[Any]) -> bool:
        """Whether anything is lost, or one of these calls failed. Ray takes long to miss a host; its link does not."""
        return bool(self._head.lost or self._silent or self._cut_off()) or any(self._failure(ref) for ref in finished)

    def _cut_off(self) -> list[int]:
        return sorted({stage for link, stage in self._links.items() if link.gone()})

    def diagnose(self) -> PipepitaError:
        """The error behind a channel that closed: the actor that died, else what a stage raised."""
        if self._head.lost:
            return self._head.error()
        if self._silent:
            return self._silent
        failures: list[PipepitaError] = []
        deadline = time.monotonic() + _DIAGNOSIS_SECONDS
        waiting = list(self._running)
        while waiting and not any(isinstance(failure, StageDied) for failure in failures):
            ready, waiting = self._ray.wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                break
            failures += filter(None, map(self._failure, ready))
        failures.sort(key=_consequence)
        if failures:
            return failures[0]
        if cut_off := self._cut_off():
            return ChannelClosed(f"{self._named(cut_off[0])} is out of reach: its host or the link to it is gone")
        return ChannelClosed("a stage closed its channel and did not say why")

    def _failure(self, ref: Any) -> PipepitaError | None:
        """What the finished call `ref` raised, as our error."""
        try:
            self._ray.get(ref)
            return None
        except self._ray.exceptions.RayActorError as error:
            index = self._running.index(ref) if ref in self._running else None
            who = self._named(index) if index is not None else "a stage"
            if getattr(error, "actor_init_failed", False):
                return cannot_start(who, error)
            return StageDied(f"{who} died: its process or node is gone", index)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(getattr(error, "cause", None), PipepitaError) else None
            return cause or RunError(f"a stage failed: {str(error).strip().splitlines()[-1]}")

    def _named(self, index: int) -> str:
        layers = self._plan.stages[index].layers
        first, last = layers[0].number, layers[-1].number
        return f"stage {index} (layer {first})" if first == last else f"stage {index} (layers {first} to {last})"

    def _ask(self, method: str) -> list[Any]:
        return self._get([getattr(actor, method).remote() for actor in self._actors])

    def _each(self, method: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        return self._get([getattr(a, method).remote(*args) for a, args in zip(self._actors, arguments, strict=True)])

    def _get(self, refs: list[Any]) -> list[Any]:
        """What `refs` come to; raises what went wrong with the first that failed, or with a stage that is silent."""
        before, self._running = self._running, refs  # a stage's place in the list says which one died
        waiting = list(refs)
        while waiting:
            ready, waiting = self._ray.wait(waiting, num_returns=len(waiting), timeout=_LOOK_SECONDS)
            if waiting and self._trouble(ready):
                raise self.diagnose()
        try:
            found = self._ray.get(refs)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.RayTaskError):
            raise self.diagnose() from None
        self._running = before
        return found

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
        for listener in self._listeners:
            listener.close()
        for end in self._ends:
            end.close()
        running, self._listeners, self._ends, self._links, self._running = self._running, [], [], {}, []
        if not self._ray.is_initialized():  # the engine was closed first
            return
        with contextlib.suppress(Exception):
            ended, _ = self._ray.wait(running, num_returns=len(running), timeout=_DIAGNOSIS_SECONDS)
            for ref in ended:  # a loop that was running ends with an error; unless somebody asks for it, Ray prints it
                with contextlib.suppress(Exception):
                    self._ray.get(ref)
        with contextlib.suppress(Exception):  # an actor that died cannot disconnect, and need not
            self._ray.get([actor.disconnect.remote() for actor in self._actors], timeout=_DIAGNOSIS_SECONDS)


def cannot_start(who: str, error: Exception) -> RunError:
    """The error for an actor that no restart helps: what it says is what Python said, like a missing package."""
    return RunError(f"{who} cannot start: {str(error).strip().splitlines()[-1]}")


def _consequence(failure: PipepitaError) -> int:
    """How likely another failure is the cause of this one: channels close because of what happened elsewhere."""
    if isinstance(failure, StageDied):
        return 0
    return 2 if isinstance(failure, ChannelClosed) and not isinstance(failure, Malformed) else 1
