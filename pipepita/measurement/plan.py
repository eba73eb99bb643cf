"""`plan`: what every number of stages is predicted to do with every schedule, and which is the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from pipepita import schedule as schedules
from pipepita.data import Data, load
from pipepita.errors import UserError, unknown
from pipepita.machine import machine
from pipepita.measurement.subject import task_of
from pipepita.pipeline.engine import Engine
from pipepita.planning.predict import RAY, Choice, Prediction
from pipepita.planning.probe import SECONDS
from pipepita.planning.survey import Site, survey
from pipepita.progress import Progress, silent
from pipepita.rules import Pepita, Rule, options_of, reference
from pipepita.runs.options.job import Options
from pipepita.runs.options.reading import checked
from pipepita.schedule.forecast import Forecast

OPTIONS = ("schedule", "window", "optimizer", "batch_size", "seed", "device", "address", "placement", "threads")
_USUAL = "relaxed"  # the schedule of a run, unless an option says otherwise


@dataclass
class Planned:
    """The result of `plan`.

    Attributes:
        summary: What `pipepita plan --json` prints, but for the names of network and data. A prediction is {"ms": per
            sample, "limit": what limits it}. "one_process" is one; "stages" has a row for each number of stages, with
            "split" (layers of each) and one by the name of each schedule; "best" has the fastest way by schedule, and
            "choice" the fastest of all, or of the schedule that was asked for.
        prediction: The same as objects.
    """

    summary: dict[str, Any]
    prediction: Prediction


def plan(
    model: nn.Sequential,
    data: Data | str,
    *,
    rule: Rule | None = None,
    seconds: float = SECONDS,
    engine: Engine | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Planned:
    """Predicts how fast `model` trains in one process and in every number of stages, with every schedule.

    What layers, messages and the coordinator cost is measured, in about ten seconds. The model is measured as it is: no
    normalisation is added.

    Args:
        model: As `train` takes it.
        data: A `Data`, or a name that `load` knows; only the shape of its items and the number of classes matter.
        rule: The learning rule; `Pepita()` by default.
        seconds: About how long one run of the measurement takes. There are 15 to 21, and for each schedule up to 12
            more, if ways to train are predicted to be about equally fast.
        engine: An open `RayEngine`, which is kept open; by default one is opened for the measurement.
        progress: Called with (runs done, runs in all, what runs next). It begins anew with those further runs.
        **options: The fields of `pipepita.runs.options.job.Options` that decide the speed: schedule (the one to choose
            stages for; by default the fastest), window (streaming's), optimizer, batch_size, seed, device, address,
            placement, threads.

    Returns:
        The figures, and the choice.

    Raises:
        UserError: What was asked for cannot be measured, or the network has only one layer.
        RunError: A stage or a channel was lost.
        KeyboardInterrupt: `progress` raised it.

    Example:
        >>> import pipepita as pp
        >>> engine = pp.RayEngine(2, device="cpu")
        >>> planned = pp.plan(pp.build("fc:16", (20,), 10), "random:20", batch_size=2, engine=engine, seconds=0.01)
        >>> engine.close()
        >>> [row["split"] for row in planned.summary["stages"]]
        [[2], [1, 1]]
    """
    for name in options:
        if name not in OPTIONS:
            raise unknown("option", name, OPTIONS)
    if not 0 < seconds <= 3600:
        raise UserError(f"{seconds} s: more than 0 and up to 3600 s")
    wanted = options.pop("schedule", None)
    if wanted not in (None, *schedules.FIXED):
        raise unknown("schedule", wanted, schedules.FIXED)
    settings: Options = checked(Options, {"schedule": "streaming", **options})
    data = load(data) if isinstance(data, str) else data
    task = task_of(model, data, rule or Pepita(), settings)
    layers = len(task.layers)
    if layers < 2:
        raise UserError("a network of one layer has one stage: there is nothing to choose")
    defaults = task.rule.defaults(layers)
    task = replace(task, look_ahead=defaults.look_ahead)
    windows = {"streaming": settings.window}
    compared = [
        schedules.make(name, layers, windows.get(name), task.rule.flow, defaults.window) for name in schedules.FIXED
    ]
    site = Site(settings.device, settings.address, settings.placement, engine)
    prediction = survey(task, compared, settings.batch_size, site, seconds, progress)
    summary = {
        "layers": layers,
        "batch_size": settings.batch_size,
        "rule": reference(task.rule),
        "rule_options": options_of(task.rule),
        "windows": {schedule.name: schedule.window for schedule in compared},
        **_figures(prediction, wanted),
        "machine": machine(),
    }
    return Planned(summary, prediction)


def _figures(prediction: Prediction, wanted: str | None) -> dict[str, Any]:
    """What is predicted, as JSON has it. wanted: the schedule to choose stages for, or None for the fastest."""
    best = {name: prediction.best(name) for name in schedules.FIXED}
    # one process is as fast with any schedule, and then it should be the one that `train` has by default
    fastest = min(best.values(), key=lambda choice: (choice.forecast.period, choice.schedule != _USUAL))
    usual, layers = wanted or _USUAL, max(prediction.parts)
    alone = prediction.alone.period
    return {
        "one_process": _forecast(prediction.alone),
        "stages": [
            {
                "stages": stages,
                "split": _split(prediction.parts[stages]),
                **{name: _forecast(one) for name, one in row.items()},
            }
            for stages, row in prediction.forecasts.items()
        ],
        "best": {name: _choice(one) for name, one in best.items()},
        "choice": _choice(fastest if wanted is None else best[wanted], alone),
        # what a run with Ray does if nobody says how many stages there are
        "one_stage_per_layer": _choice(
            Choice(usual, RAY, prediction.parts[layers], prediction.forecasts[layers][usual]), alone
        ),
    }


def _split(parts: Sequence[range]) -> list[int]:
    return [len(part) for part in parts]


def _choice(one: Choice, alone: float | None = None) -> dict[str, Any]:
    """alone: what one process takes, to compare with."""
    said = {"schedule": one.schedule, "engine": one.engine, "stages": len(one.parts), "split": _split(one.parts)}
    compared = {} if alone is None else {"times_one_process": round(one.forecast.period / alone, 3)}
    return said | _forecast(one.forecast) | compared


def _forecast(one: Forecast) -> dict[str, Any]:
    return {"ms": round(one.period, 4), "limit": one.limit}
