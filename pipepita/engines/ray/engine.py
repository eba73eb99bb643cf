"""The ray engine: one actor per stage, placed as asked, and replaced if it is lost."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Set
from typing import Any

from pipepita.channels.transports import TRANSPORTS
from pipepita.engines.ray.cluster import Cluster, load_ray
from pipepita.engines.ray.diagnosis import cannot_start
from pipepita.engines.ray.head import Head
from pipepita.engines.ray.metrics import Gauges
from pipepita.engines.ray.monitor import SILENCE_SECONDS
from pipepita.engines.ray.pipeline import RayPipeline
from pipepita.engines.ray.placement import Placement, check, own_raylet
from pipepita.errors import ClusterDied, RunError, StageDied, UserError, unknown
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.pulse import Place
from pipepita.pipeline.wiring import Plan

_ANSWER_SECONDS = 3.0  # in which an actor answers, unless it is busy, hangs or is out of reach
_START_SECONDS = 30.0  # for a new actor to start, before another node is tried
_LOOK_SECONDS = 0.3  # from one search for a place to the next
_STOP_SECONDS = 10.0  # after which a search ends if somebody has asked to stop
_REPLACE_SECONDS = 120.0  # after which a search ends in any case: no node had a free CPU
_NEVER_RAN = "never ran"  # in Ray's account of an actor that it gave up before it started: the actor was not at fault


def gpu_share(stages: int, gpus: int) -> float:
    """The share of a GPU that each stage asks for: a whole one if there are enough, else an equal part.

    >>> gpu_share(2, 4), gpu_share(4, 2), gpu_share(3, 2), gpu_share(4, 0)
    (1.0, 0.5, 0.5, 0.0)
    """
    if not gpus:
        return 0.0
    return 1.0 / -(-stages // gpus)


class RayEngine:
    """Ray actors for up to `stages` stages. They are kept until `close`, so that several runs can use them in turn.

    Args:
        stages: How many actors to start, one per stage. Each takes one CPU of the cluster.
        address: An existing cluster ("host:port", "auto" or "ray://host:port"). None starts an embedded cluster with
            exactly the resources that the actors need.
        device: "auto", "cpu" or "cuda". "auto" gives each stage a GPU of its own if there are enough, shares GPUs if
            there are fewer, and uses the CPU if there are none.
        transport: "shared_memory", "tcp" or "tls" for all channels. None uses shared memory on one host and TCP between
            hosts.
        encrypt: Whether TCP between hosts is encrypted; only if `transport` is None.
        placement: "pack", "spread", "one-per-host", or one node per stage like "A,B,B"; see `engines.ray.placement`.

    Attributes:
        stages: As above.
        transport: As above.
        encrypt: As above.
        cpus: How many CPUs the cluster has, as far as Ray knows.

    Raises:
        UserError: An argument is wrong, or the cluster cannot be reached or is too small.
        RunError: An embedded cluster cannot start.

    Example:
        >>> import pipepita as pp
        >>> data = pp.load("digits")
        >>> model = pp.build("fc:32", data.item_shape, data.classes)
        >>> engine = pp.RayEngine(2, device="cpu")
        >>> pp.train(model, data, engine=engine, epochs=1).stages
        2
        >>> engine.close()
    """

    name = "ray"

    def __init__(
        self,
        stages: int,
        *,
        address: str | None = None,
        device: str = "auto",
        transport: str | None = None,
        encrypt: bool = False,
        placement: str = "pack",
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise UserError(f"unknown device {device!r}: one of auto, cpu, cuda")
        if transport is not None and transport not in TRANSPORTS:
            raise unknown("transport", transport, TRANSPORTS)
        if encrypt and transport is not None:
            raise UserError(f"encrypt decides between hosts, and transport {transport!r} decides for all: give one")
        check(placement)
        self.transport, self.encrypt, self.stages, self.cpus = transport, encrypt, stages, 0
        self._address, self._wanted_device, self._wanted_placement = address, device, placement
        self._start()

    @property
    def most_stages(self) -> int | None:
        return self.stages

    def _start(self) -> None:
        """Joins or starts the cluster, and places the actors."""
        address, device = self._address, self._wanted_device
        self._placement: Placement | None = None
        self._actors: list[Any] = []
        self._places: dict[int, Place] = {}  # where each stage was when it last answered
        self._head: Head | None = None
        embedded = address in (None, "local")
        embedded_gpus = gpus_here() if embedded and device != "cpu" else 0
        self._ray = load_ray()
        self._cluster = Cluster(address, self.stages, embedded_gpus)
        try:
            self._head = Head(self._ray.get_runtime_context().gcs_address, own_raylet(), self._cluster.dead)
            self._place(self.stages, device, self._wanted_placement)
            self._on_pulse = None if embedded else Gauges().set  # an embedded cluster exports nothing
        except BaseException:
            self.close()
            raise

    def _place(self, stages: int, device: str, placement: str) -> None:
        ray = self._ray
        gpus = int(ray.cluster_resources().get("GPU", 0)) if device != "cpu" else 0
        if device == "cuda" and not gpus:
            raise UserError("device 'cuda': the cluster has no GPU; use auto or cpu")
        share = self._share = gpu_share(stages, gpus)
        self._device = "cuda" if share else "cpu"
        needs = f"{stages} stages need {stages} CPUs{f' and {share:g} GPU each' if share else ''}"
        self.cpus = int(ray.cluster_resources().get("CPU", 0))
        if self.cpus < stages:
            raise UserError(f"{needs}, but the cluster has {self.cpus}: use fewer --stages")
        bundle = {"CPU": 1.0, **({"GPU": share} if share else {})}
        self._placement = Placement(placement, stages, bundle, needs)
        self._actors = [self._actor(self._placement.strategy(index)) for index in range(stages)]

    def _actor(self, strategy: Any) -> Any:
        """A new actor. Ray does not restart it, because what the stage has learnt would be lost.

        Ray keeps no record of each call either: at 3.5 KB per heartbeat its head would grow by megabytes per hour.
        """
        from pipepita.engines.ray.actor import StageActor

        remote = self._ray.remote(
            concurrency_groups={"control": 1}, max_restarts=0, max_task_retries=0, enable_task_events=False
        )(StageActor)
        return remote.options(num_cpus=1, num_gpus=self._share, scheduling_strategy=strategy).remote()

    def devices(self, stages: int) -> list[str]:
        return [self._device] * stages

    def open(self, plan: Plan) -> Pipeline:
        if len(plan.stages) > len(self._actors):
            raise UserError(f"{len(plan.stages)} stages, but the engine was opened with {len(self._actors)} actors")
        assert self._head is not None
        pipeline = RayPipeline(
            self._actors[: len(plan.stages)], plan, self._head, self.transport, self._on_pulse, encrypt=self.encrypt
        )
        self._places |= pipeline.places()
        return pipeline

    def repair(self, stop: Callable[[], bool] = lambda: False) -> list[int]:
        """Replaces the actors that are dead, hang or are out of reach. One that answers again meanwhile may stay.

        If the cluster itself died and it is ours, it is started anew, with all actors.

        stop: asked while this waits. If it says true, a wait that has become long ends with `KeyboardInterrupt`.
        Returns the stages that have new actors. Raises `StageDied` if a new actor dies at once, `RunError` if no node
        has room for one or the head of somebody else's cluster is lost.
        """
        try:
            return self._replace_lost(stop)
        except ClusterDied:
            self.close()
            self._start()
            return list(range(self.stages))

    def _replace_lost(self, stop: Callable[[], bool]) -> list[int]:
        """The same within the cluster. Raises `ClusterDied` if that is ours and died."""
        assert self._placement is not None and self._head is not None
        began = time.monotonic()
        tried, starting = Counter[int](), dict[int, float]()  # starting: until when a new actor may be starting
        patience_ends = dict[int, float]()  # until when an actor that Ray gives up is started again
        self._head.wait()
        dead, silent = self._lost(range(len(self._actors)))
        while dead or silent:
            self._head.wait()
            if stop() and time.monotonic() > began + _STOP_SECONDS:
                raise KeyboardInterrupt
            now = time.monotonic()
            faulty = {
                index
                for index, reason in dead.items()
                if _NEVER_RAN not in reason or now > patience_ends.get(index, math.inf)
            }
            if died_again := sorted(faulty & starting.keys()):
                reason = dead[died_again[0]]
                raise StageDied(f"stage {died_again[0]} died again as it was started: {reason}", died_again[0])
            for index in sorted(dead.keys() | silent):
                # a silent actor whose node answers may only be slow: a machine that restarts processes is busy
                node_answers = index not in self._places or self._placement.answers(self._places[index].node)
                patience = starting.get(index, began + SILENCE_SECONDS if node_answers else began)
                if index in silent and now < patience:
                    continue
                hangs = node_answers and index in silent and index not in starting  # a new one has no known place
                others = self._replace(index, dead.keys() | silent, tried, hangs=hangs)
                if others is not None:
                    patience_ends.setdefault(index, now + _START_SECONDS)
                    starting[index] = now + (_START_SECONDS if others else _REPLACE_SECONDS)
            dead, silent = self._lost(dead.keys() | silent)
            if (dead or silent) and time.monotonic() > began + _REPLACE_SECONDS:
                raise RunError(
                    f"stage {min(dead.keys() | silent)} finds no place: no node that answers had a free CPU in "
                    f"{_REPLACE_SECONDS:.0f} s"
                )
        return sorted(starting)

    def _replace(self, index: int, lost: Set[int], tried: Counter[int], *, hangs: bool) -> bool | None:
        """Starts a new actor for stage `index`, on the next node that has room.

        lost: the stages that have no actor now. tried: how many nodes have been tried for each stage. hangs: the old
        actor does not answer, although its node does. Returns whether there are other nodes to try; None if there is
        no node at all for now, so that nothing was started.
        """
        assert self._placement is not None
        taken = {place.node for stage, place in self._places.items() if stage not in lost}
        candidates = self._placement.candidates(index, taken)
        if not candidates:
            return None
        with contextlib.suppress(Exception):  # the old one may only be out of reach, and must take no part any more
            self._ray.kill(self._actors[index])
        place = self._places.get(index)
        if hangs and place is not None and place.is_known_here():
            with contextlib.suppress(OSError):
                os.kill(place.pid, signal.SIGKILL)  # Ray only asks a process to end, and one that hangs does not
        self._actors[index] = self._actor(candidates[tried[index] % len(candidates)])
        tried[index] += 1
        return len(candidates) > 1

    def _lost(self, indices: Iterable[int]) -> tuple[dict[int, str], set[int]]:
        """Which of these stages' actors are dead, and why, by Ray's account; and which do not answer."""
        asked = {self._actors[index].where.remote(): index for index in indices}
        ready, waiting = self._ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_SECONDS)
        dead = dict[int, str]()
        for ref in ready:
            try:
                self._places[asked[ref]] = self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                if getattr(error, "actor_init_failed", False):
                    raise cannot_start(f"stage {asked[ref]}", error) from None
                dead[asked[ref]] = " ".join(str(error).split())
        if dead and not waiting:
            time.sleep(_LOOK_SECONDS)  # before the next search: there may be no place for them yet
        return dead, {asked[ref] for ref in waiting}

    def close(self) -> None:
        """Ends the actors, gives their places back, and ends the cluster if it is ours."""
        lost = self._head is not None and self._head.look()  # then Ray would try for a minute and end this process
        # if somebody has left the cluster already, Ray would start a new one
        if self._ray.is_initialized() and not lost:
            for actor in self._actors:
                with contextlib.suppress(Exception):  # the cluster may be gone already
                    self._ray.kill(actor)
            if self._placement is not None:
                self._placement.close()
        self._actors = []
        if self._head is not None:
            self._head.close()
        self._cluster.close()


def gpus_here() -> int:
    """How many CUDA devices this process sees."""
    import torch

    return torch.cuda.device_count()
