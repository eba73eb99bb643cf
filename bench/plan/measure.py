"""`python -m bench.plan`: the stages that `pipepita plan` chooses, next to the fastest of all.

For each network the times are predicted, and then one process and every number of stages are measured in turn over
several rounds. A row holds one schedule. `chosen / fastest` is the choice of `plan`, which may be one process, over the
fastest of all. `auto / fastest staged` is what `train --engine ray --stages auto` takes, over the fastest of Ray. Both
are medians of the ratios within a round.
"""

from __future__ import annotations

import statistics
from typing import Any

import pipepita as pp
from bench.common import note, ratio
from pipepita import schedule as schedules
from pipepita.measurement.subject import task_of
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages
from pipepita.pipeline.wiring import Plan
from pipepita.planning.contender import Contender, interleaved
from pipepita.planning.predict import LOCAL, Choice, Prediction
from pipepita.runs.options.job import Job
from pipepita.schedule import Schedule

BATCH = 64
NETWORKS = (
    ("fc:64", "mnist"),
    ("fc:1024", "mnist"),
    ("fc:256x8", "mnist"),
    ("fc:1024x4", "mnist"),
    ("conv:16,3/pool:2/conv:32,3", "mnist"),
    ("conv:16,3/pool:2/conv:32,3/pool:2/conv:32,3", "cifar10"),
)
SCHEDULES = ("relaxed", "streaming")


def measure(quick: bool) -> list[dict[str, Any]]:
    """Two rows per network."""
    engine = pp.RayEngine(9, device="cpu")
    try:
        _start(engine)
        return [row for job in _jobs(quick) for row in _rows(job, engine, quick)]
    finally:
        engine.close()


def _start(engine: Engine) -> None:
    """Waits until all actors have started, which takes processor time."""
    data = pp.load("digits")
    pp.train(pp.build("fc:8x8", data.item_shape, data.classes), data, engine=engine, epochs=1)


def _jobs(quick: bool) -> list[Job]:
    networks = (NETWORKS[0], NETWORKS[3], NETWORKS[4]) if quick else NETWORKS
    return [
        Job(network=network, dataset=dataset, batch_size=BATCH, rule="pepita", lr=0.001, optimizer="sgd:momentum=0.9")
        for network, dataset in networks
    ]


def _rows(job: Job, engine: Engine, quick: bool) -> list[dict[str, Any]]:
    data = pp.load(job.dataset)
    model, rule = job.model(data), job.make_rule()
    planned = pp.plan(model, data, rule=rule, engine=engine, batch_size=BATCH, optimizer=job.optimizer)
    task, local, found = task_of(model, data, rule, job.options()), pp.LocalEngine("cpu"), planned.prediction
    windows = planned.summary["windows"]

    def contender(on: Engine, parts: Any, schedule: Schedule) -> Contender:
        return Contender(on, Plan(stages(task, parts, on.devices(len(parts))), schedule, BATCH))

    contenders = {}
    for name in SCHEDULES:
        schedule = schedules.make(name, len(task.layers), windows[name] if name == "streaming" else None)
        contenders[f"{name} {LOCAL}"] = contender(local, task.whole, schedule)
        for count, parts in found.parts.items():
            contenders[f"{name} {count}"] = contender(engine, parts, schedule)
    note(f"{job.network}: {len(contenders)} ways to run it")
    runs = interleaved(contenders, data, *((2, 0.2) if quick else (5, 0.5)))
    times = {name: [run.period_ms for run in of] for name, of in runs.items()}
    for name, figures in times.items():
        note(f"  {name}: {_predicted(found, *name.split()):.3g} predicted, {statistics.median(figures):.3g} measured")
    return [_row(job.network, name, found, times) for name in SCHEDULES]


def _row(network: str, schedule: str, found: Prediction, times: dict[str, list[float]]) -> dict[str, Any]:
    medians = {name: statistics.median(of) for name, of in times.items() if name.startswith(schedule)}
    fastest = min(medians, key=lambda name: medians[name])
    staged = min((name for name in medians if not name.endswith(LOCAL)), key=lambda name: medians[name])
    choice, auto = (_name(one) for one in (found.best(schedule), found.staged(schedule)))
    predicted = found.best(schedule).forecast.period
    return {
        "network": network,
        "schedule": schedule,
        "chosen": _words(choice),
        "predicted, ms": predicted,
        "measured, ms": medians[choice],
        "fastest": _words(fastest),
        "its ms": medians[fastest],
        "chosen / fastest": ratio(times, choice, fastest),
        "auto": _words(auto),
        "auto / fastest staged": ratio(times, auto, staged),
        "one process, ms": medians[f"{schedule} {LOCAL}"],
        "one stage per layer, ms": medians[f"{schedule} {max(found.parts)}"],
    }


def _name(choice: Choice) -> str:
    return f"{choice.schedule} {LOCAL if choice.engine == LOCAL else len(choice.parts)}"


def _words(name: str) -> str:
    return {LOCAL: "one process", "1": "1 stage"}.get(name.split()[1], f"{name.split()[1]} stages")


def _predicted(found: Prediction, schedule: str, count: str) -> float:
    return (found.alone if count == LOCAL else found.forecasts[int(count)][schedule]).period
