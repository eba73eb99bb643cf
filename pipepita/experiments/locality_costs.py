"""What each rule costs on this machine: how long it locks a layer, what it keeps in memory, how fast it learns."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipepita.data import load
from pipepita.edge.work import counted
from pipepita.engines.ray.engine import RayEngine
from pipepita.measurement.latency import latency
from pipepita.measurement.subject import task_of
from pipepita.runs.job import Options
from pipepita.runs.reading import checked, read_job

_STAGES, _ROUNDS, _SECONDS = 2, 3, 0.5
_SHAPE = "3x32x32"  # of CIFAR's items


@dataclass(frozen=True)
class Costs:
    """What a rule costs on one network, with items of CIFAR's shape.

    Attributes:
        lock_ms: How long a layer waits on average from one standard pass to the next, with one layer after the other in
            two stages: locked, relaxed and streaming.
        kept: Bytes that all layers keep of a sample in flight.
        fixed: Bytes of weights, optimizer and feedback of the larger one of two stages.
        one_process: Items per second, one thread.
        two_stages: Items per second, streaming through two actors.
        staleness: How many updates a streaming standard pass misses.
    """

    lock_ms: tuple[float, float, float]
    kept: int
    fixed: int
    one_process: float
    two_stages: float
    staleness: int


def measured(
    jobs: Mapping[tuple[str, str], dict[str, Any]], kept: Path, progress: Callable[[int, int, str], None]
) -> dict[tuple[str, str], Costs]:
    """The costs of each job: kept from before, or measured now, one after the other.

    Args:
        jobs: Fields of `Job`, by network and rule.
        kept: The folder in which results are kept.
        progress: Called with (jobs done, all jobs, what comes now).
    """
    found: dict[tuple[str, str], Costs] = {}
    engine: RayEngine | None = None
    try:
        for done, (place, options) in enumerate(jobs.items()):
            file = kept / f"costs-{'-'.join(place)}.json".replace(" ", "_")
            if not file.exists():
                progress(done, len(jobs), f"measuring {' '.join(place)}")
                engine = engine or RayEngine(_STAGES)
                costs = _measured(options, engine)
                file.write_text(json.dumps({"options": options, **asdict(costs)}, default=str) + "\n")
            content = json.loads(file.read_text())
            del content["options"]
            found[place] = Costs(**{**content, "lock_ms": tuple(content["lock_ms"])})
    finally:
        if engine is not None:
            engine.close()
    return found


def _measured(options: dict[str, Any], engine: RayEngine) -> Costs:
    job = read_job(None, options, [])
    data = load(f"random:{_SHAPE}")
    model, rule = job.model(data), job.make_rule()
    settings: Options = checked(Options, {"batch_size": job.batch_size, "optimizer": job.optimizer, "lr": job.lr})
    works = counted(task_of(model, data, rule, settings), job.batch_size)
    summary = latency(
        model, data, rule=rule, rounds=_ROUNDS, seconds=_SECONDS, engine=engine, stages=_STAGES,
        batch_size=job.batch_size, optimizer=job.optimizer, lr=1e-5,
    ).summary  # fmt: skip
    first, schedules = summary["stages"][0], summary["schedules"]
    return Costs(
        tuple(_mean(schedules[name]["lock_ms"]) for name in ("locked", "relaxed", "streaming")),  # type: ignore[arg-type]
        sum(work.kept for work in works),
        max(sum(work.fixed for work in part) for part in (works[:first], works[first:])),
        1000 * job.batch_size / summary["in_process"]["one_thread_ms"],
        schedules["streaming"]["items_per_second"],
        schedules["streaming"]["window"] - 1 if len(rule.passes) > 1 else 0,
    )


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return round(statistics.mean(known), 3) if known else 0.0
