"""`latency`: locked, relaxed and streaming, measured in turn over several rounds, next to their ceilings."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pipepita import schedule as schedules
from pipepita.data import Data, load
from pipepita.engines.local import LocalEngine
from pipepita.engines.ray.engine import RayEngine
from pipepita.errors import UserError, unknown
from pipepita.machine import cores, machine
from pipepita.measurement.report import SCHEDULE_ORDER, Closed, Latency, median_hop_ms, schedule_figures
from pipepita.measurement.subject import task_of
from pipepita.network.partition import AUTO, divide
from pipepita.pipeline.emulation import paced
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.pace import Pace, paces
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.planning.contender import Contender, TimedRun, interleaved
from pipepita.planning.costs import measured_costs
from pipepita.progress import Progress, silent
from pipepita.rules import Pepita, Rule, options_of, reference
from pipepita.runs.options.job import Options
from pipepita.runs.options.reading import checked
from pipepita.schedule import Schedule, ceiling
from pipepita.schedule.world import Cost

_MOST_ROUNDS = 1000
OPTIONS = (
    "window", "stages", "optimizer", "lr", "batch_size", "seed", "device", "address", "threads", "standard_ms",
    "modulated_ms",
)  # fmt: skip


def latency(
    model: nn.Sequential,
    data: Data | str,
    *,
    rule: Rule | None = None,
    rounds: int = 5,
    seconds: float = 1.0,
    engine: Engine | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Latency:
    """Measures locked, relaxed and streaming on `model`, which stays as it is.

    Args:
        model: As `train` takes it. It is measured as it is: no normalisation is added.
        data: A `Data`, or a name that `load` knows, like "random:784".
        rule: The learning rule; `Pepita()` by default.
        rounds: Each round runs every schedule once, one after the other.
        seconds: About how long one run takes.
        engine: An open engine with enough actors, which is kept open; by default a new `RayEngine`.
        progress: Called with (runs done, runs in all, what runs next).
        **options: The fields of `pipepita.runs.options.job.Options` that decide the speed: window (streaming's; by
            default the smallest that fills the pipeline), stages, optimizer, lr (by default 0.001, so that nothing
            diverges), batch_size, seed, device, address, threads, standard_ms, modulated_ms.

    Returns:
        The figures of each schedule, and the timeline of its last run.

    Raises:
        UserError: What was asked for cannot be measured.
        RunError: A stage or a channel was lost.
        KeyboardInterrupt: `progress` raised it.

    Example:
        >>> import pipepita as pp
        >>> model = pp.build("fc:16x2", (20,), 10)
        >>> local = pp.LocalEngine("cpu")
        >>> found = latency(model, "random:20", engine=local, stages=1, batch_size=2, rounds=1, seconds=0.01)
        >>> list(found.summary["schedules"])
        ['locked', 'relaxed', 'streaming']
    """
    for name in options:
        if name not in OPTIONS:
            raise unknown("option", name, OPTIONS)
    settings: Options = checked(Options, {"lr": 0.001, "schedule": "streaming", **options})
    data = load(data) if isinstance(data, str) else data
    subject = _subject(model, data, rule or Pepita(), settings)
    check(len(subject.task.layers), settings, rounds, seconds)
    with ExitStack() as cleanup:
        if engine is None:
            engine = RayEngine(len(subject.parts), address=settings.address, device=settings.device)
            cleanup.callback(engine.close)
        contenders = _contenders(subject, engine, settings)
        runs = interleaved(contenders, data, rounds, seconds, progress)
        devices = _devices(engine, subject, settings)
    return _figures(subject, contenders, runs, devices)


def check(layers: int, settings: Options, rounds: int, seconds: float) -> int:
    """`UserError` for what cannot be measured on a network of `layers` layers, before anything is started.

    Returns how many stages there will be.
    """
    if not isinstance(rounds, int) or not 1 <= rounds <= _MOST_ROUNDS or not 0 < seconds <= 3600:
        raise UserError(f"{rounds} rounds of {seconds} s: 1 to {_MOST_ROUNDS} rounds of more than 0 and up to 3600 s")
    if settings.stages == AUTO:
        raise UserError("stages 'auto': latency measures one split; `pipepita plan` compares all numbers of stages")
    count = len(divide(settings.stages or layers, [1.0] * layers))
    schedules.make("streaming", count, settings.window)
    paces(settings.standard_ms, settings.modulated_ms, layers)
    return count


@dataclass(frozen=True)
class _Subject:
    """What is measured.

    Attributes:
        task: What is trained.
        costs: Milliseconds of each layer.
        paces: Of the emulated devices; empty if there are none.
        parts: The layers of each stage.
        batch_size: Items per sample.
    """

    task: Task
    costs: list[Cost]
    paces: list[Pace]
    parts: list[range]
    batch_size: int


def _subject(model: nn.Sequential, data: Data, rule: Rule, settings: Options) -> _Subject:
    task = task_of(model, data, rule, settings)
    layers, rule = task.layers, task.rule
    slowed = paces(settings.standard_ms, settings.modulated_ms, len(layers))
    costs = measured_costs(task, settings.batch_size, LocalEngine(settings.device).devices(1)[0])
    second_passes = len(rule.passes) - 1  # 0 or 1
    if slowed:  # the closed form is about the nominal times, unless a layer is slower here than its device would be
        costs = [
            Cost(max(cost.standard, 1000 * pace.standard), max(cost.modulated, 1000 * pace.modulated * second_passes))
            for cost, pace in zip(costs, slowed, strict=True)
        ]
    parts = divide(settings.stages or len(layers), [cost.total for cost in costs])
    return _Subject(task, costs, slowed, parts, settings.batch_size)


def _contenders(subject: _Subject, engine: Engine, settings: Options) -> dict[str, Contender]:
    """The schedules. Unless devices are emulated, also the network in one process and in a pipeline of one stage."""
    task, parts = subject.task, subject.parts
    flow = task.rule.flow

    def contender(schedule: Schedule, on: Engine, split: list[range], threads: int = task.threads) -> Contender:
        specs = stages(task.with_threads(threads), split, on.devices(len(split)))
        return Contender(on, Plan(paced(specs, subject.paces), schedule, subject.batch_size))

    chosen = {
        name: schedules.make(name, len(parts), settings.window if name == "streaming" else None, flow)
        for name in SCHEDULE_ORDER
    }
    contenders = {name: contender(schedule, engine, parts) for name, schedule in chosen.items()}
    if not subject.paces:  # a whole host cannot be compared with emulated devices
        local, relaxed = LocalEngine(settings.device), chosen["relaxed"]
        contenders["one thread"] = contender(relaxed, local, task.whole, 1)
        contenders["all threads"] = contender(relaxed, local, task.whole, cores())
        contenders["one stage"] = contender(relaxed, engine, task.whole)
    return contenders


def _figures(
    subject: _Subject, contenders: dict[str, Contender], runs: dict[str, list[TimedRun]], devices: int
) -> Latency:
    """The figures of all runs. devices: how many cores or devices the stages shared."""
    rule, layers = subject.task.rule, len(subject.task.layers)
    chosen = {name: contenders[name].plan.schedule for name in SCHEDULE_ORDER}
    closed = _closed_forms(chosen, subject, devices, median_hop_ms(runs["locked"]))
    figures = {
        name: schedule_figures(
            runs[name], runs["locked"], window=schedule.window, batch_size=subject.batch_size, layers=layers,
            closed=closed[name],
        )
        for name, schedule in chosen.items()
    }  # fmt: skip
    summary = {
        "layers": layers,
        "stages": [len(part) for part in subject.parts],
        "batch_size": subject.batch_size,
        "rule": reference(rule),
        "rule_options": options_of(rule),
        "flow": str(rule.flow),
        "emulated": bool(subject.paces),
        "rounds": len(runs["locked"]),
        "schedules": figures,
        "in_process": None if subject.paces else _in_process(runs),
        "one_stage": None if subject.paces else _one_stage(runs),
        "layer_costs_ms": [
            {"standard": round(c.standard, 4), "modulated": round(c.modulated, 4), "update": round(c.update, 4)}
            for c in subject.costs
        ],
        "machine": {**machine(), "cores_or_devices_used": devices},
    }
    last = {name: runs[name][-1] for name in chosen}
    return Latency(summary, {name: r.timeline for name, r in last.items()}, {name: r.first for name, r in last.items()})


def _closed_forms(chosen: dict[str, Schedule], subject: _Subject, cores: int, hop_ms: float) -> dict[str, Closed]:
    costs, route, parts = subject.costs, subject.task.rule, subject.parts
    free, paid = (
        {n: ceiling.period(s, costs, cores=cores, route=route, parts=parts, hop=hop) for n, s in chosen.items()}
        for hop in (0.0, hop_ms)
    )
    return {n: Closed(free[n], free["locked"] / free[n], paid["locked"] / paid[n]) for n in chosen}


def _devices(engine: Engine, subject: _Subject, settings: Options) -> int:
    """How many cores, GPUs or emulated devices the stages share."""
    count = len(subject.parts)
    if subject.paces:
        return count
    if engine.devices(1)[0] == "cpu":
        return min(count, cores() if settings.address is None else count)
    return min(count, max(1, torch.cuda.device_count()))


def _median(runs: list[TimedRun]) -> float:
    return round(statistics.median(run.period_ms for run in runs), 4)


def _in_process(runs: dict[str, list[TimedRun]]) -> dict[str, float]:
    return {"one_thread_ms": _median(runs["one thread"]), "all_threads_ms": _median(runs["all threads"])}


def _one_stage(runs: dict[str, list[TimedRun]]) -> dict[str, float]:
    """A pipeline of one stage does the same work as one process: the difference is what a pipeline costs."""
    ratios = [a.period_ms / b.period_ms for a, b in zip(runs["one stage"], runs["one thread"], strict=True)]
    return {"period_ms": _median(runs["one stage"]), "over_in_process": round(statistics.median(ratios), 4)}
