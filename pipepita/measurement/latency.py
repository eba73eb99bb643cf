"""`latency`: locked, relaxed and streaming side by side, in turn over several rounds, next to their ceilings."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from pipepita import schedule as schedules
from pipepita.data import Data, load
from pipepita.engines.local import LocalEngine
from pipepita.engines.ray.engine import RayEngine
from pipepita.errors import UserError, unknown
from pipepita.machine import cores, machine
from pipepita.measurement.contender import Contender, Run, fewest, run, samples_for
from pipepita.measurement.costs import measured_costs
from pipepita.measurement.report import SCHEDULE_ORDER, Closed, Latency, median_hop_ms, schedule_figures
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.modules import describe, rebuild
from pipepita.network.partition import balance
from pipepita.pipeline.emulation import paces
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import StageSpec
from pipepita.rules import Pepita, Rule
from pipepita.runs.job import Options, checked
from pipepita.schedule import Schedule, ceiling
from pipepita.schedule.recurrence import Cost, Route

_MOST_ROUNDS = 1000
OPTIONS = (
    "stages", "optimizer", "lr", "batch_size", "seed", "device", "address", "threads", "standard_ms", "modulated_ms",
)  # fmt: skip


def latency(
    model: nn.Sequential,
    data: Data | str,
    *,
    rule: Rule | None = None,
    normalize: bool = False,
    window: int | None = None,
    rounds: int = 5,
    seconds: float = 1.0,
    engine: Engine | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    **options: Any,
) -> Latency:
    """Measures the schedules on `model`, which stays as it is.

    window: of streaming; by default the smallest that fills the pipeline of stages. rounds: each runs every schedule
    once, one after the other. seconds: of one run, about. engine: an open engine with enough actors, which is kept
    open; by default a `RayEngine`. progress: told (runs done, runs in all, what runs next).
    options: the fields of `Options` that reach the speed, `OPTIONS`; lr is 0.001, so that nothing diverges.

    Raises `UserError` for what cannot be measured, and what `train` raises.
    """
    for name in options:
        if name not in OPTIONS:
            raise unknown("option", name, OPTIONS)
    settings: Options = checked(Options, {"lr": 0.001, **options})
    data = load(data) if isinstance(data, str) else data
    rule = rule or Pepita()
    work = rebuild(describe(model))
    if normalize:
        spec.normalized(work, data.item_shape)
    spec.initialise(work, settings.seed)
    layers = cut(work, data.item_shape, data.classes, settings.seed)
    check(len(layers), settings, window, rounds, seconds)
    slowed = paces(settings.standard_ms, settings.modulated_ms, len(layers))
    emulated = slowed[0] is not None
    device = (engine or LocalEngine(settings.device)).devices(1)[0]
    whole = StageSpec(
        0, layers, len(layers), data.classes, rule, settings.optimizer, settings.lr, settings.seed, device,
        settings.threads,
    )  # fmt: skip
    layer_costs = measured_costs(whole, settings.batch_size)
    answers = len(rule.passes) - 1  # 0: there is no second pass to pace
    if emulated:  # the nominal times are what the closed form is about; a layer that is slower than its device shows
        layer_costs = [
            Cost(max(cost.standard, 1000 * pace.standard), max(cost.modulated, 1000 * pace.modulated * answers))
            for cost, pace in zip(layer_costs, slowed, strict=True)
            if pace is not None
        ]
    count = settings.stages or len(layers)
    parts = balance([cost.total for cost in layer_costs], count)

    with ExitStack() as cleanup:
        if engine is None:
            engine = RayEngine(count, address=settings.address, device=settings.device)
            cleanup.callback(engine.close)

        def stages(ranges: list[range], on: Engine, threads: int) -> list[StageSpec]:
            return [
                StageSpec(
                    index, [layers[i] for i in part], len(layers), data.classes, rule, settings.optimizer, settings.lr,
                    settings.seed, device, threads, [slowed[i] for i in part],
                )
                for index, (part, device) in enumerate(zip(ranges, on.devices(len(ranges)), strict=True))
            ]  # fmt: skip

        everything = [range(len(layers))]
        chosen = {
            name: schedules.make(name, count, window if name == "streaming" else None, rule.flow)
            for name in SCHEDULE_ORDER
        }
        contenders = {
            name: Contender(engine, schedule, stages(parts, engine, settings.threads), settings.batch_size)
            for name, schedule in chosen.items()
        }
        if not emulated:  # one host that does everything is no match for many devices
            local, one = LocalEngine(settings.device), chosen["relaxed"]
            for name, threads in (("one thread", 1), ("all threads", cores())):
                contenders[name] = Contender(local, one, stages(everything, local, threads), settings.batch_size)
            contenders["one stage"] = Contender(
                engine, one, stages(everything, engine, settings.threads), settings.batch_size
            )
        runs = _interleaved(contenders, data, rounds, seconds, progress)
        on_host = cores() if settings.address is None else count
        at_hand = count if emulated else _devices(engine, count, on_host)

    hop_ms = median_hop_ms(runs["locked"])
    closed = _closed_forms(chosen, layer_costs, parts, Route(rule.passes, rule.flow), at_hand, hop_ms)
    figures = {
        name: schedule_figures(
            runs[name], runs["locked"], window=schedule.window, batch_size=settings.batch_size, layers=len(layers),
            closed=closed[name],
        )
        for name, schedule in chosen.items()
    }  # fmt: skip
    summary = {
        "layers": len(layers),
        "stages": [len(part) for part in parts],
        "batch_size": settings.batch_size,
        "rule": rule.name,
        "modulate": getattr(rule, "modulate", None),
        "flow": str(rule.flow),
        "emulated": emulated,
        "rounds": rounds,
        "schedules": figures,
        "in_process": None if emulated else _in_process(runs),
        "one_stage": None if emulated else _one_stage(runs),
        "layer_costs_ms": [
            {"standard": round(c.standard, 4), "modulated": round(c.modulated, 4), "update": round(c.update, 4)}
            for c in layer_costs
        ],
        "machine": {**machine(), "cores_or_devices_used": at_hand},
    }
    last = {name: runs[name][-1] for name in chosen}
    return Latency(summary, {name: r.timeline for name, r in last.items()}, {name: r.first for name, r in last.items()})


def check(layers: int, settings: Options, window: int | None, rounds: int, seconds: float) -> None:
    """`UserError` for what cannot be measured on a network of `layers` layers; before anything is started."""
    if not 1 <= rounds <= _MOST_ROUNDS or not 0 < seconds <= 3600:
        raise UserError(f"{rounds} rounds of {seconds} s: 1 to {_MOST_ROUNDS} rounds of more than 0 and up to 3600 s")
    count = settings.stages or layers
    balance([1.0] * layers, count)
    schedules.make("streaming", count, window)
    paces(settings.standard_ms, settings.modulated_ms, layers)


def _closed_forms(
    chosen: dict[str, Schedule], costs: list[Cost], parts: list[range], route: Route, cores: int, hop_ms: float
) -> dict[str, Closed]:
    free, paid = (
        {n: ceiling.period(s, costs, cores=cores, route=route, parts=parts, hop=hop) for n, s in chosen.items()}
        for hop in (0.0, hop_ms)
    )
    return {n: Closed(free[n], free["locked"] / free[n], paid["locked"] / paid[n]) for n in chosen}


def _interleaved(
    contenders: dict[str, Contender],
    data: Data,
    rounds: int,
    seconds: float,
    progress: Callable[[int, int, str], None],
) -> dict[str, list[Run]]:
    """A short run of each, to warm up and to learn how long a sample takes; then every round all of them in turn."""
    total = len(contenders) * (rounds + 1)
    samples: dict[str, int] = {}
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    done = 0
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            progress(done, total, name)
            found = run(contender, data, samples.get(name, fewest(contender)))
            if number:
                runs[name].append(found)
            else:
                samples[name] = samples_for(contender, seconds, found.period_ms, data)
            done += 1
    progress(done, total, "")
    return runs


def _devices(engine: Engine, stages: int, on_host: int) -> int:
    """How many cores, or GPUs, the stages have between them."""
    if engine.devices(1)[0] == "cpu":
        return min(stages, on_host)
    return min(stages, max(1, torch.cuda.device_count()))


def _median(runs: list[Run]) -> float:
    return round(statistics.median(run.period_ms for run in runs), 4)


def _in_process(runs: dict[str, list[Run]]) -> dict[str, float]:
    return {"one_thread_ms": _median(runs["one thread"]), "all_threads_ms": _median(runs["all threads"])}


def _one_stage(runs: dict[str, list[Run]]) -> dict[str, float]:
    """A pipeline of one stage does the same as one process: what it takes longer is what a pipeline costs."""
    ratios = [a.period_ms / b.period_ms for a, b in zip(runs["one stage"], runs["one thread"], strict=True)]
    return {"period_ms": _median(runs["one stage"]), "over_in_process": round(statistics.median(ratios), 4)}
