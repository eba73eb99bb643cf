"""The ray engine: one actor a stage, placed as asked, replaced when lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Set
from typing import Any

from pipepita.channels.transports import TRANSPORTS, host
from pipepita.engines.ray.cluster import Cluster, load_ray
from pipepita.engines.ray.diagnosis import cannot_start
from pipepita.engines.ray.head import Head
from pipepita.engines.ray.metrics import Gauges
from pipepita.engines.ray.monitor import SILENCE_SECONDS
from pipepita.engines.ray.pipeline import RayPipeline
from pipepita.engines.ray.placement import Placement, check
from pipepita.errors import RunError, StageDied, UserError, unknown
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.pulse import Place
from pipepita.pipeline.wiring import Plan

_ANSWER_SECONDS = 3.0  # in which an actor answers that is not busy, hanging or out of reach
_START_SECONDS = 30.0  # for a new actor to start, before another node is tried
_LOOK_SECONDS = 0.3  # from one look for a place to the next
_STOP_SECONDS = 10.0  # of waiting, after which it is given up if somebody has asked to stop
_REPLACE_SECONDS = 120.0  # in all, for a node with a free CPU to come


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
    placement: "pack", "spread", "one-per-host", or a node for each stage, as in `engines.placement`.
    Raises `UserError` for a cluster that cannot be reached or is too small.
    """

    name = "ray"

    def __init__(
        self,
        stages: int,
        *,
        address: str | None = None,
        device: str = "auto",
        transport: str | None = None,
        placement: str = "pack",
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise UserError(f"unknown device {device!r}: one of auto, cpu, cuda")
        if transport is not None and transport not in TRANSPORTS:
            raise unknown("transport", transport, TRANSPORTS)
        check(placement)
        self.transport = transport
        self._placement: Placement | None = None
        self._actors: list[Any] = []
        self._places: dict[int, Place] = {}  # where each stage was last seen
        self._head: Head | None = None
        embedded_gpus = 0 if device == "cpu" or address is not None else _gpus_here()
        self._cluster = Cluster(address, stages, embedded_gpus)
        try:
            self._head = Head(load_ray().get_runtime_context().gcs_address)
            self._place(stages, device, placement)
            # an embedded cluster exports nothing
            self._on_pulse = Gauges().set if address not in (None, "local") else None
        except BaseException:
            self.close()
            raise

    def _place(self, stages: int, device: str, placement: str) -> None:
        ray = self._ray = load_ray()
        gpus = int(ray.cluster_resources().get("GPU", 0)) if device != "cpu" else 0
        if device == "cuda" and not gpus:
            raise UserError("device 'cuda': the cluster has no GPU; use auto or cpu")
        share = self._share = gpu_share(stages, gpus)
        self._device = "cuda" if share else "cpu"
        needs = f"{stages} stages need {stages} CPUs{f' and {share:g} GPU each' if share else ''}"
        there = ray.cluster_resources().get("CPU", 0)
        if there < stages:
            raise UserError(f"{needs}, but the cluster has {there:g}: use fewer --stages")
        bundle = {"CPU": 1.0, **({"GPU": share} if share else {})}
        self._placement = Placement(placement, stages, bundle, needs)
        self._actors = [self._actor(self._placement.strategy(index)) for index in range(stages)]

    def _actor(self, strategy: Any) -> Any:
        """A new actor. Ray restarts none: it would lose what the stage has learnt.

        Nor does Ray keep a record of each call: at 3.5 KB a heartbeat its head would grow by megabytes an hour.
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
        pipeline = RayPipeline(self._actors[: len(plan.stages)], plan, self._head, self.transport, self._on_pulse)
        self._places |= pipeline.places()
        return pipeline

    def repair(self, stop: Callable[[], bool] = lambda: False) -> list[int]:
        """Replaces the actors that are dead, hang or are out of reach; one that answers again meanwhile may stay.

        stop: asked while it waits; true ends a wait that has become long with `KeyboardInterrupt`. Raises `StageDied`
        where a new actor dies at once, `RunError` where no place is found for one, or the cluster's head is lost.
        """
        assert self._placement is not None and self._head is not None
        began = time.monotonic()
        tried, young = Counter[int](), dict[int, float]()  # young: until when an actor may still be starting
        dead, silent = self._look(range(len(self._actors)))
        while dead or silent:
            self._head.wait()
            if stop() and time.monotonic() > began + _STOP_SECONDS:
                raise KeyboardInterrupt
            if again := dead & young.keys():
                raise StageDied(f"stage {min(again)} died again as it was started", min(again))
            now = time.monotonic()
            for index in sorted(dead | silent):
                # one that is there may only be slow: a machine that has processes to restart is a busy one
                here = index not in self._places or self._placement.answers(self._places[index].node)
                patience = young.get(index, began + SILENCE_SECONDS if here else began)
                if index in silent and now < patience:
                    continue
                hangs = here and index in silent and index not in young  # a young one has no place that we know yet
                others = self._replace(index, dead | silent, tried, hangs=hangs)
                if others is not None:
                    young[index] = now + (_START_SECONDS if others else _REPLACE_SECONDS)
            dead, silent = self._look(dead | silent)
            if (dead or silent) and time.monotonic() > began + _REPLACE_SECONDS:
                raise RunError(
                    f"stage {min(dead | silent)} finds no place: no node that answers had a free CPU in "
                    f"{_REPLACE_SECONDS:.0f} s"
                )
        return sorted(young)

    def _replace(self, index: int, lost: Set[int], tried: Counter[int], *, hangs: bool) -> bool | None:
        """Puts a new actor in the place of stage `index`'s, on the next node that might do.

        Whether there are others that might; None where there is none at all for now. hangs: the old one's process is on
        a node that answers, and does not.
        """
        assert self._placement is not None
        taken = {place.node for stage, place in self._places.items() if stage not in lost}
        candidates = self._placement.candidates(index, taken)
        if not candidates:
            return None
        with contextlib.suppress(Exception):  # it may only be out of reach, and must take no part any more
            self._ray.kill(self._actors[index])
        place = self._places.get(index)
        if hangs and place is not None and place.host == host():
            with contextlib.suppress(OSError):
                os.kill(place.pid, signal.SIGKILL)  # Ray asks a process to end, which one that hangs does not
        self._actors[index] = self._actor(candidates[tried[index] % len(candidates)])
        tried[index] += 1
        return len(candidates) > 1

    def _look(self, indices: Iterable[int]) -> tuple[set[int], set[int]]:
        """Which of these stages' actors are dead, and which do not answer."""
        asked = {self._actors[index].where.remote(): index for index in indices}
        ready, waiting = self._ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_SECONDS)
        dead = set()
        for ref in ready:
            try:
                self._places[asked[ref]] = self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                if getattr(error, "actor_init_failed", False):
                    raise cannot_start(f"stage {asked[ref]}", error) from None
                dead.add(asked[ref])
        if dead and not waiting:
            time.sleep(_LOOK_SECONDS)  # before the next look, where there is no place for them yet
        return dead, {asked[ref] for ref in waiting}

    def close(self) -> None:
        """Ends the actors, gives their places back, and ends the cluster if it is ours."""
        if load_ray().is_initialized():  # else somebody has left the cluster already, and Ray would start one
            for actor in self._actors:
                with contextlib.suppress(Exception):  # the cluster may be gone already
                    self._ray.kill(actor)
            # without its head Ray would try until it gives us up
            if self._placement is not None and not (self._head is not None and self._head.lost):
                self._placement.close()
        self._actors = []
        if self._head is not None:
            self._head.close()
        self._cluster.close()


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count()
