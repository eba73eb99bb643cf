"""Ways that are predicted to be about equally fast are run in turn, since no prediction can tell them apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from pipepita.data import Data
from pipepita.engines.local import LocalEngine
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.planning.contender import Contender, interleaved
from pipepita.planning.predict import LOCAL, Prediction
from pipepita.progress import Progress, silent
from pipepita.schedule import Schedule

_CLOSE = 1.25  # times the best predicted period, that is still worth a run
_MOST = 3  # ways that are run
_ROUNDS = 4


def verified(
    prediction: Prediction,
    task: Task,
    schedules: Sequence[Schedule],
    data: Data,
    batch_size: int,
    engine: Engine,
    seconds: float,
    progress: Progress = silent,
) -> Prediction:
    """The prediction, in which those that lie close together are as far apart as they were when they were run.

    Args:
        prediction: What was predicted.
        task: What is to be trained; it stays as it is.
        schedules: The schedules to compare.
        data: Items to run it with.
        batch_size: How many items a sample has.
        engine: An open engine. What needs more stages than it has is not run.
        seconds: About how long one run takes.
        progress: Called with (runs done, runs in all, what runs next).
    """
    local = LocalEngine(engine.devices(1)[0])
    for schedule in schedules:
        close = _close(prediction, schedule.name, engine.most_stages or len(task.layers))
        if len(close) < 2:
            continue
        contenders = {}
        for way in close:
            on, parts = (local, task.whole) if way == LOCAL else (engine, prediction.parts[int(way)])
            specs = stages(task, parts, on.devices(len(parts)))
            contenders[way] = Contender(on, Plan(specs, schedule, batch_size))
        runs = interleaved(contenders, data, _ROUNDS, seconds, progress)
        took = {way: statistics.median(run.period_ms for run in of) for way, of in runs.items()}
        prediction = _with(prediction, schedule.name, took)
    return prediction


def _close(prediction: Prediction, schedule: str, most: int) -> list[str]:
    """One process ("local") and numbers of stages that may be the fastest, the best first."""
    periods = {LOCAL: prediction.alone.period} | {
        str(count): row[schedule].period for count, row in prediction.forecasts.items() if count <= most
    }
    best = min(periods.values())
    return sorted((way for way in periods if periods[way] <= _CLOSE * best), key=lambda way: periods[way])[:_MOST]


def _with(prediction: Prediction, schedule: str, took: dict[str, float]) -> Prediction:
    """The prediction with these instead. The best one keeps its period, so that they compare with those not run."""
    old = {way: prediction.alone if way == LOCAL else prediction.forecasts[int(way)][schedule] for way in took}
    factor = min(forecast.period for forecast in old.values()) / min(took.values())
    new = {way: replace(forecast, period=factor * took[way]) for way, forecast in old.items()}
    forecasts = {
        count: {**row, schedule: new.get(str(count), row[schedule])} for count, row in prediction.forecasts.items()
    }
    return replace(prediction, alone=new.get(LOCAL, prediction.alone), forecasts=forecasts)
