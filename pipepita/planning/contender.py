"""One way to run the same network, and one timed run of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from pipepita.data import Data
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.wiring import Plan
from pipepita.progress import Progress, silent
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import coordinator_recorder

# how many floats the items of a run may have together, so that they fit in memory
_MOST_FLOATS = 1 << 26
_FEWEST_SAMPLES = 16


@dataclass(frozen=True)
class Contender:
    """A plan, and the engine that runs it."""

    engine: Engine
    plan: Plan

    @property
    def window(self) -> int:
        """How many samples may be in flight."""
        return self.plan.schedule.window

    @property
    def warm_up(self) -> int:
        """How many samples fill the pipeline and the caches before the clock counts."""
        return max(4, 2 * self.window)


@dataclass(frozen=True)
class TimedRun:
    """One timed run.

    Attributes:
        period_ms: From one sample's error to the next one's, on average.
        first: The first sample that counts.
        timeline: Everything that was recorded.
    """

    period_ms: float
    first: int
    timeline: Timeline


def fewest(contender: Contender) -> int:
    """How many samples the shortest run has whose figures mean anything."""
    return contender.warm_up + max(_FEWEST_SAMPLES, 2 * contender.window)


def samples_for(contender: Contender, seconds: float, period_ms: float, data: Data) -> int:
    """How many samples take about `seconds` after the warm-up, as far as memory allows."""
    width = math.prod(data.item_shape)
    most = max(fewest(contender), _MOST_FLOATS // (width * contender.plan.batch_size))
    return min(most, max(fewest(contender), contender.warm_up + round(1000 * seconds / period_ms)))


def run(contender: Contender, data: Data, samples: int) -> TimedRun:
    """Trains a fresh copy of the network on `samples` samples of `data`, which is repeated if it has fewer."""
    # a copy, because the local engine trains the layers that it is given
    plan, task = contender.plan, contender.plan.task.copy()
    stages = [replace(stage, task=task) for stage in plan.stages]
    pipeline = contender.engine.open(replace(plan, stages=stages, record=samples))
    try:
        recorder = coordinator_recorder(samples)
        coordinator = Coordinator(
            pipeline, plan.schedule, task.rule.passes, batch_size=plan.batch_size, recorder=recorder
        )
        count = samples * plan.batch_size
        x, y = data.items.some(count)
        chosen = torch.arange(count) % len(x)
        tally = coordinator.train_epoch(x[chosen], y[chosen], 1, task.lr)
        timeline = Timeline(recorder.spans(), pipeline.timeline(), task.rule.passes, task.rule.flow)
    finally:
        pipeline.close()
    first = contender.warm_up
    completed = tally.completed
    return TimedRun(1000 * (completed[-1] - completed[first]) / (len(completed) - 1 - first), first, timeline)


def interleaved(
    contenders: Mapping[str, Contender],
    data: Data,
    rounds: int,
    seconds: float,
    progress: Progress = silent,
) -> dict[str, list[TimedRun]]:
    """Runs each contender shortly, to warm up and to learn how long a sample takes; then in each round all of them.

    A machine that becomes slower favours none.

    Args:
        contenders: What runs, by name.
        data: Items to run it with.
        rounds: How many.
        seconds: About how long one run takes.
        progress: Called with (runs done, runs in all, what runs next).

    Returns:
        One run per round for each contender.
    """
    total = len(contenders) * (rounds + 1)
    samples: dict[str, int] = {}
    runs: dict[str, list[TimedRun]] = {name: [] for name in contenders}
    done = 0
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            progress(done, total, name)
            timed = run(contender, data, samples.get(name, fewest(contender)))
            if number:
                runs[name].append(timed)
            else:
                samples[name] = samples_for(contender, seconds, timed.period_ms, data)
            done += 1
    progress(done, total, "")
    return runs
