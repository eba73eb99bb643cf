"""What each rule costs on this machine: how long it locks a layer, what it keeps in memory, how fast it learns."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipepita.data import load
from pipepita.edge.work import counted
from pipepita.engines.ray.engine import RayEngine
from pipepita.measurement.latency import latency
from pipepita.measurement.subject import task_of
from pipepita.progress import Progress
from pipepita.runs.options.job import Options
from pipepita.runs.options.reading import checked, read_job

_STAGES = 2
_ROUNDS = {False: {"rounds": 3, "seconds": 0.5}, True: {"rounds": 1, "seconds": 0.1}}  # by whether it is to be quick
_SHAPE = "3x32x32"  # of CIFAR's items


@dataclass(frozen=True)
class Costs:
    """What a rule costs on one network, with items of CIFAR's shape.

    Attributes:
        lock_ms: Milliseconds that a layer waits from the end of one standard pass to the next one's begin, in two
            stages: the median over samples, and the mean of all layers. Under locked, relaxed and streaming.
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
    jobs: Mapping[tuple[str, str], dict[str, Any]], kept: Path, progress: Progress, *, quick: bool = False
) -> dict[tuple[str, str], Costs]:
    """The costs of each job: kept from before, or measured now, one after the other.

    Args:
        jobs: Fields of `Job`, by network and rule.
        kept: The folder in which results are kept.
        progress: Called with (jobs done, all jobs, what comes now).
        quick: Measure in one short round, not three; what is kept of one is not taken for the other.
    """
    found: dict[tuple[str, str], Costs] = {}
    engine: RayEngine | None = None
    try:
        for done, (place, options) in enumerate(jobs.items()):
            file = kept / f"costs-{_key(options)}{'-quick' * quick}.json"
            costs = _read(file)
            if costs is None:
                progress(done, len(jobs), f"measuring {' '.join(place)}")
                engine = engine or RayEngine(_STAGES)
                costs = _measured(options, engine, **_ROUNDS[quick])
                aside = file.with_suffix(".partial")
                aside.write_text(json.dumps({"options": options, **asdict(costs)}, default=str) + "\n")
                aside.replace(file)
            found[place] = costs
    finally:
        if engine is not None:
            engine.close()
    return found


def _key(options: Mapping[str, Any]) -> str:
    """Names the file of a job's costs: a digest of whatever they depend on, which is not the learning rate."""
    content = {name: value for name, value in options.items() if name not in ("dataset", "lr", "lr_decay")}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _read(file: Path) -> Costs | None:
    """The costs in `file`; None if it is not there, or cannot be read."""
    try:
        content = json.loads(file.read_text())
        del content["options"]
        return Costs(**{**content, "lock_ms": tuple(content["lock_ms"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _measured(options: dict[str, Any], engine: RayEngine, **rounds: Any) -> Costs:
    job = read_job(None, options, [])
    data = load(f"random:{_SHAPE}")
    model, rule = job.model(data), job.make_rule()
    settings: Options = checked(Options, {"batch_size": job.batch_size, "optimizer": job.optimizer, "lr": job.lr})
    works = counted(task_of(model, data, rule, settings), job.batch_size)
    summary = latency(
        model, data, rule=rule, engine=engine, stages=_STAGES,
        batch_size=job.batch_size, optimizer=job.optimizer, lr=1e-5, **rounds,
    ).summary  # fmt: skip
    first, schedules = summary["stages"][0], summary["schedules"]
    return Costs(
        tuple(_mean(schedules[name]["lock_ms"]) for name in ("locked", "relaxed", "streaming")),  # type: ignore[arg-type]
        sum(work.kept for work in works),
        max(sum(work.fixed for work in part) for part in (works[:first], works[first:])),
        1000 * job.batch_size / summary["in_process"]["one_thread_ms"],
        schedules["streaming"]["items_per_second"],
        0 if rule.passes[0] in rule.updates else schedules["streaming"]["window"] - 1,
    )


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return round(statistics.mean(known), 3) if known else 0.0
