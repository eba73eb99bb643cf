"""Measures a network where it is to be trained, and predicts how fast every number of stages will be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch

from pipepita.engines import registry
from pipepita.engines.ray.cluster import load_ray
from pipepita.machine import cores
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.task import Task
from pipepita.planning.predict import Prediction, predict
from pipepita.planning.probe import SECONDS, items, measure, probes
from pipepita.planning.verify import verified
from pipepita.progress import Progress, silent
from pipepita.schedule import Schedule

if TYPE_CHECKING:
    from pipepita.engines.ray.engine import RayEngine


@dataclass(frozen=True)
class Site:
    """Where stages run.

    Attributes:
        device, address, placement: As in the options of a run.
        engine: An open engine that is to be used; by default one is opened for the measurement.
    """

    device: str = "auto"
    address: str | None = None
    placement: str = "pack"
    engine: Engine | None = None


def survey(
    task: Task,
    schedules: Sequence[Schedule],
    batch_size: int,
    site: Site,
    seconds: float = SECONDS,
    progress: Progress = silent,
) -> Prediction:
    """Measures `task`, which stays as it is, and predicts. What is predicted to be about equally fast is run.

    Args:
        task: What is to be trained. It has at least two layers.
        schedules: The schedules to compare; the last one has the most samples in flight.
        batch_size: How many items a sample has.
        site: Where the stages run.
        seconds: About how long one run of the measurement takes.
        progress: Called with (runs done, runs in all, what runs next).

    Returns:
        What one process and every number of stages will do.

    Raises:
        UserError: The engine cannot be opened as asked.
        RunError: A stage or a channel was lost.
        KeyboardInterrupt: `progress` raised it.
    """
    layers, threads = len(task.layers), task.threads
    with ExitStack() as cleanup:
        remote = site.address not in (None, "local")
        if site.engine is not None:
            engine, most = site.engine, min(layers, site.engine.most_stages or layers)
            counts = probes(most, cores() // threads)
        else:
            # a cluster that is there already may have room for few actors only
            there = remote or load_ray().is_initialized()
            counts = [2] if there else probes(layers, cores() // threads)
            wanted = registry.Wanted(max(counts), site.device, site.address, site.placement)
            opened = cast("RayEngine", registry.make("ray", wanted))
            cleanup.callback(opened.close)
            engine, most = opened, min(layers, opened.cpus) if there else layers
        on_cpu = engine.devices(1)[0] == "cpu"
        side_by_side = (most if remote else cores() // threads) if on_cpu else torch.cuda.device_count()
        measured = measure(
            task, batch_size, schedules[-1], engine, counts=counts, cores=max(1, side_by_side), seconds=seconds,
            progress=progress,
        )  # fmt: skip
        found = predict(measured, schedules, task.rule, most)
        still = replace(task.copy(), lr=0.0)  # nothing can diverge, and an update costs as much
        return verified(found, still, schedules, items(task, batch_size), batch_size, engine, seconds, progress)
