"""The ray engine: one actor a stage, placed as asked, replaced when lost."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pipepita.channels.transports import TRANSPORTS
from pipepita.engines.cluster import Cluster, load_ray
from pipepita.engines.engine import Pipeline
from pipepita.engines.metrics import Gauges
from pipepita.engines.placement import Placement, check
from pipepita.engines.ray_pipeline import RayPipeline, cannot_start
from pipepita.engines.wiring import Plan
from pipepita.errors import RunError, StageDied, UserError, unknown

_ANSWER_SECONDS = 3.0  # an actor that does not answer for so long, when something has gone wrong, is given up
_START_SECONDS = 30.0  # for a new actor to start, before another node is tried
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
        self._nodes: dict[int, str] = {}  # the id of the node that each stage was last seen on
        embedded_gpus = 0 if device == "cpu" or address is not None else _gpus_here()
        self._cluster = Cluster(address, stages, embedded_gpus)
        try:
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
        """A new actor. Ray restarts none: it would lose what the stage has learnt."""
        from pipepita.engines.actor import StageActor

        remote = self._ray.remote(concurrency_groups={"control": 1}, max_restarts=0, max_task_retries=0)(StageActor)
        return remote.options(num_cpus=1, num_gpus=self._share, scheduling_strategy=strategy).remote()

    def devices(self, stages: int) -> list[str]:
        return [self._device] * stages

    def open(self, plan: Plan) -> Pipeline:
        if len(plan.stages) > len(self._actors):
            raise UserError(f"{len(plan.stages)} stages, but the engine was opened with {len(self._actors)} actors")
        return RayPipeline(self._actors[: len(plan.stages)], plan, self.transport, self._on_pulse)

    def repair(self) -> list[int]:
        """Replaces the actors that are dead, hang or are out of reach; one that answers again meanwhile may stay.

        Raises `StageDied` where a new one dies at once, `RunError` where no place is found for one.
        """
        deadline = time.monotonic() + _REPLACE_SECONDS
        replaced, tried = set[int](), Counter[int]()
        lost = self._unanswering(range(len(self._actors)), _ANSWER_SECONDS)
        while lost:
            starting = [index for index in lost if self._replace(index, lost, tried)]
            replaced.update(starting)
            lost = self._unanswering(lost, _START_SECONDS if starting else _ANSWER_SECONDS, just_started=starting)
            if lost and time.monotonic() > deadline:
                raise RunError(
                    f"stage {lost[0]} finds no place: no node that answers had a free CPU in {_REPLACE_SECONDS:.0f} s"
                )
        return sorted(replaced)

    def _replace(self, index: int, lost: Sequence[int], tried: Counter[int]) -> bool:
        """Puts a new actor in the place of stage `index`'s, on the next node that might do; whether there is one."""
        assert self._placement is not None
        taken = {node for stage, node in self._nodes.items() if stage not in lost}
        candidates = self._placement.candidates(index, taken)
        if not candidates:
            return False
        with contextlib.suppress(Exception):  # it may only be out of reach, and must take no part any more
            self._ray.kill(self._actors[index])
        self._actors[index] = self._actor(candidates[tried[index] % len(candidates)])
        tried[index] += 1
        return True

    def _unanswering(self, indices: Iterable[int], patience: float, just_started: Sequence[int] = ()) -> list[int]:
        """Which of these stages' actors are dead or do not answer. `StageDied` for one that has `just_started`."""
        asked = {self._actors[index].where.remote(): index for index in indices}
        ready, silent = self._ray.wait(list(asked), num_returns=len(asked), timeout=patience)
        found = [asked[ref] for ref in silent]
        for ref in ready:
            try:
                self._nodes[asked[ref]] = self._ray.get(ref).node
            except self._ray.exceptions.RayError as error:
                if getattr(error, "actor_init_failed", False):
                    raise cannot_start(f"stage {asked[ref]}", error) from None
                if asked[ref] in just_started:
                    raise StageDied(f"stage {asked[ref]} died again as it was started", asked[ref]) from None
                found.append(asked[ref])
        return sorted(found)

    def close(self) -> None:
        """Ends the actors, gives their places back, and ends the cluster if it is ours."""
        for actor in self._actors:
            with contextlib.suppress(Exception):  # the cluster may be gone already
                self._ray.kill(actor)
        self._actors = []
        if self._placement is not None:
            self._placement.close()
            self._placement = None
        self._cluster.close()


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count()
