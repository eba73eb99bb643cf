"""The ray engine: one actor a stage, placed by a placement group, connected by our own channels."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from torch import Tensor

from pipepita.channels import handshake
from pipepita.channels.channel import Inlet, Outlet, Wire
from pipepita.channels.delayed import DelayedInlet
from pipepita.channels.transports import TRANSPORTS, Listener, choose, connect, host
from pipepita.engines.cluster import Cluster, load_ray
from pipepita.engines.engine import Pipeline
from pipepita.engines.watched import WatchedInlet, WatchedOutlet
from pipepita.engines.wiring import COORDINATOR, DONE, SIGNAL, Plan, mirrors, port, signals, wires
from pipepita.errors import ChannelClosed, PipepitaError, RunError, StageDied, UserError, unknown
from pipepita.machine import cores
from pipepita.timeline.recorder import Spans

_PLACEMENT_SECONDS = 30.0
_DIAGNOSIS_SECONDS = 1.5  # how long Ray may take to say which actor died

_CLOCK_CALLS = 20
# A process that sleeps takes tens of microseconds to wake, and longer to be quick again: with a core to itself a stage
# looks for its next message this long. At batch 1 two stages then took 0.7 of the time a sample, locked or relaxed.
_SPIN_SECONDS = 0.0003


def gpu_share(stages: int, gpus: int) -> float:
    """The share of a GPU that each stage asks for: a whole one where there are enough, else an equal part.

    >>> gpu_share(2, 4), gpu_share(4, 2), gpu_share(3, 2), gpu_share(4, 0)
    (1.0, 0.5, 0.5, 0.0)
    """
    if not gpus:
        return 0.0
    return 1.0 / -(-stages // gpus)


class RayEngine:
    """Actors for up to `stages` stages, kept until `close`, so that several pipelines can use them in turn.

    address: an existing cluster, or None for an embedded one with exactly the resources that the actors need.
    device: "auto" (each stage on its own GPU where there are enough, sharing where there are fewer, CPU otherwise),
    "cpu" or "cuda". transport: "shared_memory" or "tcp" instead of what the two ends' hosts suggest.
    Raises `UserError` for a cluster that cannot be reached or is too small.
    """

    name = "ray"

    def __init__(
        self, stages: int, *, address: str | None = None, device: str = "auto", transport: str | None = None
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise UserError(f"unknown device {device!r}: one of auto, cpu, cuda")
        if transport is not None and transport not in TRANSPORTS:
            raise unknown("transport", transport, TRANSPORTS)
        self.transport = transport
        self._group: Any = None
        self._actors: list[Any] = []
        embedded_gpus = 0 if device == "cpu" or address is not None else _gpus_here()
        self._cluster = Cluster(address, stages, embedded_gpus)
        try:
            self._place(stages, device)
        except BaseException:
            self.close()
            raise

    def _place(self, stages: int, device: str) -> None:
        ray = self._ray = load_ray()
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        gpus = int(ray.cluster_resources().get("GPU", 0)) if device != "cpu" else 0
        if device == "cuda" and not gpus:
            raise UserError("device 'cuda': the cluster has no GPU; use auto or cpu")
        share = gpu_share(stages, gpus)
        self._device = "cuda" if share else "cpu"
        needs = f"{stages} stages need {stages} CPUs{f' and {share:g} GPU each' if share else ''}"
        there = ray.cluster_resources().get("CPU", 0)
        if there < stages:
            raise UserError(f"{needs}, but the cluster has {there:g}: use fewer --stages")
        bundle = {"CPU": 1, **({"GPU": share} if share else {})}
        self._group = placement_group([bundle] * stages, strategy="PACK")
        if not self._group.wait(_PLACEMENT_SECONDS):
            free = ray.available_resources()
            raise UserError(
                f"{needs}, but only {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs of the cluster "
                "are free: use fewer --stages, or wait for other jobs"
            )
        from pipepita.engines.actor import StageActor

        actor = ray.remote(concurrency_groups={"control": 1}, max_restarts=0)(StageActor)
        self._actors = [
            actor.options(
                num_cpus=1,
                num_gpus=share,
                scheduling_strategy=PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index),
            ).remote()
            for index in range(stages)
        ]

    def devices(self, stages: int) -> list[str]:
        return [self._device] * stages

    def open(self, plan: Plan) -> Pipeline:
        if len(plan.stages) > len(self._actors):
            raise UserError(f"{len(plan.stages)} stages, but the engine was opened with {len(self._actors)} actors")
        return RayPipeline(self._actors[: len(plan.stages)], plan, self.transport)

    def close(self) -> None:
        """Ends the actors, gives the placement group back, and ends the cluster if it is ours."""
        if self._actors or self._group is not None:
            for actor in self._actors:
                self._ray.kill(actor)
            from ray.util.placement_group import remove_placement_group

            if self._group is not None:
                with contextlib.suppress(Exception):  # the cluster may be gone already
                    remove_placement_group(self._group)
            self._actors, self._group = [], None
        self._cluster.close()


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count()


class RayPipeline:
    """Actors wired up for one plan."""

    threads = 1

    def __init__(self, actors: list[Any], plan: Plan, transport: str | None = None) -> None:
        self._ray = load_ray()
        self._actors, self._plan, self.classes, self.depth = actors, plan, plan.stages[0].classes, len(plan.stages)
        self.mirrors = mirrors(plan)
        self._running: list[Any] = []
        self._ends: list[Inlet | Outlet] = []
        self._listeners: list[Listener] = []
        self.signals: dict[str, list[Outlet]] = {}
        self.done: list[Inlet] = []
        self._began, self._delayed = 0.0, list[DelayedInlet]()
        try:
            self._connect(transport)
        except BaseException:
            self.close()
            raise

    def _connect(self, transport: str | None) -> None:
        """Builds the stages, lets all receiving ends listen, then all sending ends connect."""
        secret, everything = handshake.new_secret(), wires(self._plan)
        places = self._places = dict(enumerate(self._ask("where")))
        places[COORDINATOR] = (host(), self._ray.util.get_node_ip_address(), cores())
        self._each("build", [(s, self._plan.schedule, self._plan.record) for s in self._plan.stages])

        def transport_of(wire: Wire) -> str:
            return transport or choose(places[wire.source][0], places[wire.target][0])

        stages = range(len(self._actors))
        spins = self._spins()
        inlets = [
            {port(w, i): (replace(w, spin=spins[i]), transport_of(w)) for w in everything if w.target == i}
            for i in stages
        ]
        addresses = self._each("listen", [(found, secret) for found in inlets])
        own = {
            w: Listener(transport_of(w), w, secret, places[COORDINATOR][1])
            for w in everything
            if w.target == COORDINATOR
        }
        self._listeners = list(own.values())
        where = {w: own[w].address if w in own else addresses[w.target][port(w, w.target)] for w in everything}
        outlets = [{port(w, i): (w, where[w]) for w in everything if w.source == i} for i in stages]
        connecting = [a.connect.remote(found, secret) for a, found in zip(self._actors, outlets, strict=True)]
        sent: dict[str, Outlet] = {}
        for wire in everything:
            if wire.source == COORDINATOR:
                outlet = WatchedOutlet(connect(where[wire], wire, secret), self)
                self._ends.append(outlet)
                if wire.name == "samples":
                    self.samples = outlet
                elif wire.name.startswith(SIGNAL):
                    sent[wire.name] = outlet
        self.signals = {name: [sent[wire] for wire in found] for name, found in signals(self._plan).items()}
        self._get(connecting)
        for wire, listener in own.items():
            bare = listener.inlet()
            self._delayed += [bare] if isinstance(bare, DelayedInlet) else []
            inlet = WatchedInlet(bare, self)
            self._ends.append(inlet)
            if wire.name.startswith(DONE):
                self.done.append(inlet)
            else:
                self.outputs = inlet
        self._ask("ready")

    def _spins(self) -> list[float]:
        """How long each stage may spin: not at all where more stages than cores run on its host."""
        hosts = Counter(self._places[index][0] for index in range(len(self._actors)))
        places = (self._places[index] for index in range(len(self._actors)))
        return [_SPIN_SECONDS if hosts[place[0]] <= place[2] else 0.0 for place in places]

    def train(self, first: int, lr: float) -> None:
        self._began = self._began or time.perf_counter()
        for inlet in self._delayed:
            inlet.began = self._began
        self._running = [actor.train.remote(first, lr, self._began) for actor in self._actors]

    @property
    def began(self) -> float:
        """When training did, seconds of this host's clock; 0 before."""
        return self._began

    def align(self, epoch: int) -> None:
        refs: list[Any] = [None]
        for actor in reversed(self._actors):  # each gets what the one above returned, which stays with Ray
            refs.append(actor.align.remote(epoch, refs[-1]))
        self._get(refs[:0:-1])  # a stage's place in the list says which one died

    def evaluate(self) -> None:
        self._running = [actor.evaluate.remote() for actor in self._actors]

    def join(self) -> None:
        self._get(self._running)
        self._running = []

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        weights: dict[str, Tensor] = {}
        moments: dict[str, Tensor] = {}
        for more_weights, more_moments in self._ask("state"):
            weights |= more_weights
            moments |= more_moments
        return weights, moments

    def timeline(self) -> list[Spans]:
        here = self._places[COORDINATOR][0]
        shifts = [0 if self._places[i][0] == here else self._ahead(actor) for i, actor in enumerate(self._actors)]
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
        return next(filter(None, self._ask("non_finite")), None)

    def pids(self) -> list[int]:
        """The process of each stage."""
        return self._ask("pulse")

    def check(self) -> None:
        """Raises what went wrong with a running stage, if anything did: `StageDied`, or the stage's own error."""
        ready, _ = (
            self._ray.wait(self._running, num_returns=len(self._running), timeout=0) if self._running else ([], [])
        )
        if any(self._failure(ref) for ref in ready):
            raise self.diagnose()

    def diagnose(self) -> PipepitaError:
        """The error behind a channel that closed: the actor that died, else what a stage raised."""
        failures: list[PipepitaError] = []
        deadline = time.monotonic() + _DIAGNOSIS_SECONDS
        waiting = list(self._running)
        while waiting and not any(isinstance(failure, StageDied) for failure in failures):
            ready, waiting = self._ray.wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                break
            failures += filter(None, map(self._failure, ready))
        failures.sort(key=lambda failure: (not isinstance(failure, StageDied), isinstance(failure, ChannelClosed)))
        return failures[0] if failures else ChannelClosed("a stage closed its channel and did not say why")

    def _failure(self, ref: Any) -> PipepitaError | None:
        """What the finished call `ref` raised, as our error."""
        try:
            self._ray.get(ref)
            return None
        except self._ray.exceptions.RayActorError:
            spec = self._plan.stages[self._running.index(ref)] if ref in self._running else None
            return StageDied(
                _death(spec.index, spec.layers[0].number, spec.layers[-1].number) if spec else "a stage died"
            )
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(getattr(error, "cause", None), PipepitaError) else None
            return cause or RunError(f"a stage failed: {str(error).strip().splitlines()[-1]}")

    def _ask(self, method: str) -> list[Any]:
        return self._get([getattr(actor, method).remote() for actor in self._actors])

    def _each(self, method: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        return self._get([getattr(a, method).remote(*args) for a, args in zip(self._actors, arguments, strict=True)])

    def _get(self, refs: list[Any]) -> list[Any]:
        try:
            return self._ray.get(refs)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.RayTaskError):
            self._running = refs
            raise self.diagnose() from None

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for end in self._ends:
            end.close()
        running, self._listeners, self._ends, self._running = self._running, [], [], []
        # a loop that was running ends with an error; unless somebody asks for it, Ray prints it
        for ref in running:
            with contextlib.suppress(Exception):
                self._ray.get(ref, timeout=_DIAGNOSIS_SECONDS)
        with contextlib.suppress(Exception):  # an actor that died cannot disconnect, and need not
            self._ray.get([actor.disconnect.remote() for actor in self._actors], timeout=_DIAGNOSIS_SECONDS)


def _death(index: int, first: int, last: int) -> str:
    layers = f"layer {first}" if first == last else f"layers {first} to {last}"
    return f"stage {index} ({layers}) died: its process or node is gone"
