"""One way to run the same network, and one timed run of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from pipepita.data import Data
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.wiring import Plan
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import coordinator_recorder

# Items that a run may take at most, so that they fit in memory: floats of all of them
_MOST_FLOATS = 1 << 26
_FEWEST_SAMPLES = 16


@dataclass(frozen=True)
class Contender:
    """A plan on an engine."""

    engine: Engine
    plan: Plan

    @property
    def window(self) -> int:
        """Samples in flight."""
        return self.plan.schedule.window

    @property
    def warm_up(self) -> int:
        """Samples that fill the pipeline and the caches before the clock counts."""
        return max(4, 2 * self.window)


@dataclass(frozen=True)
class TimedRun:
    """One timed run. first: the first sample that counts. period_ms: from one sample's error to the next one's."""

    period_ms: float
    first: int
    timeline: Timeline


def fewest(contender: Contender) -> int:
    """The samples of the shortest run that says anything."""
    return contender.warm_up + max(_FEWEST_SAMPLES, 2 * contender.window)


def samples_for(contender: Contender, seconds: float, period_ms: float, data: Data) -> int:
    """How many samples take about `seconds`, warm-up aside, as far as memory allows."""
    width = data.x_train[0].numel()
    most = max(fewest(contender), _MOST_FLOATS // (width * contender.plan.batch_size))
    return min(most, max(fewest(contender), contender.warm_up + round(1000 * seconds / period_ms)))


def run(contender: Contender, data: Data, samples: int) -> TimedRun:
    """Trains a fresh copy of the network on `samples` samples of `data`, again from the start where it is short."""
    # the local engine trains the layers that it is given
    plan, task = contender.plan, contender.plan.task.copy()
    stages = [replace(stage, task=task) for stage in plan.stages]
    pipeline = contender.engine.open(replace(plan, stages=stages, record=samples))
    try:
        recorder = coordinator_recorder(samples)
        coordinator = Coordinator(
            pipeline, plan.schedule, task.rule.passes, batch_size=plan.batch_size, recorder=recorder
        )
        chosen = torch.arange(samples * plan.batch_size) % len(data.x_train)
        tally = coordinator.train_epoch(data.x_train[chosen], data.y_train[chosen], 1, task.lr)
        timeline = Timeline(recorder.spans(), pipeline.timeline(), task.rule.passes, task.rule.flow)
    finally:
        pipeline.close()
    first = contender.warm_up
    completed = tally.completed
    return TimedRun(1000 * (completed[-1] - completed[first]) / (len(completed) - 1 - first), first, timeline)
