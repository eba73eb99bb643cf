"""One way to run the same network, and one timed run of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch

from pipepita.data import Data
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import Schedule
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import coordinator_recorder

# Items that a run may take at most, so that they fit in memory: floats of all of them
_MOST_FLOATS = 1 << 26
_FEWEST_SAMPLES = 16


@dataclass(frozen=True)
class Contender:
    """A schedule on an engine, with the network cut into these stages."""

    engine: Engine
    schedule: Schedule
    stages: list[StageSpec]
    batch_size: int

    @property
    def warm_up(self) -> int:
        """Samples that fill the pipeline and the caches before the clock counts."""
        return max(4, 2 * self.schedule.window)


@dataclass(frozen=True)
class Run:
    """One timed run. first: the first sample that counts. period_ms: from one sample's error to the next one's."""

    period_ms: float
    first: int
    timeline: Timeline


def fewest(contender: Contender) -> int:
    """The samples of the shortest run that says anything."""
    return contender.warm_up + max(_FEWEST_SAMPLES, 2 * contender.schedule.window)


def samples_for(contender: Contender, seconds: float, period_ms: float, data: Data) -> int:
    """How many samples take about `seconds`, warm-up aside, as far as memory allows."""
    width = data.x_train[0].numel()
    most = max(fewest(contender), _MOST_FLOATS // (width * contender.batch_size))
    return min(most, max(fewest(contender), contender.warm_up + round(1000 * seconds / period_ms)))


def run(contender: Contender, data: Data, samples: int) -> Run:
    """Trains a fresh copy of the network on `samples` samples of `data`, again from the start where it is short."""
    # the local engine trains the layers that it is given
    stages = [replace(stage, layers=copy.deepcopy(stage.layers)) for stage in contender.stages]
    rule = stages[0].rule
    pipeline = contender.engine.open(Plan(stages, contender.schedule, contender.batch_size, record=samples))
    try:
        recorder = coordinator_recorder(samples)
        coordinator = Coordinator(
            pipeline, contender.schedule, rule.passes, batch_size=contender.batch_size, recorder=recorder
        )
        chosen = torch.arange(samples * contender.batch_size) % len(data.x_train)
        tally = coordinator.train_epoch(data.x_train[chosen], data.y_train[chosen], 1, stages[0].lr)
        timeline = Timeline(recorder.spans(), pipeline.timeline(), rule.passes, rule.flow)
    finally:
        pipeline.close()
    first = contender.warm_up
    completed = tally.completed
    return Run(1000 * (completed[-1] - completed[first]) / (len(completed) - 1 - first), first, timeline)
