"""What each layer costs: its passes and its update, measured one after the other in this process."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipepita.engines.local import LocalEngine
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.source import Stored
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import relaxed
from pipepita.schedule.world import Cost
from pipepita.timeline.recorder import PASS, UPDATE, Spans

_SAMPLES = 24
_WARM_UP = 8


def measured_costs(task: Task, batch_size: int, device: str = "cpu", samples: int = _SAMPLES) -> list[Cost]:
    """Milliseconds of each layer of `task` on `device`: medians over some samples of random items.

    A copy of the layers is measured. What a rule does before an epoch (mirroring) does not count.
    """
    # with a learning rate of 0 nothing can diverge, and an update costs as much
    still = dataclasses.replace(task.copy(), lr=0.0)
    steps = samples + _WARM_UP
    source = torch.Generator().manual_seed(task.seed)
    x = torch.rand(batch_size, *task.layers[0].item_shape, generator=source)
    y = random_labels(task, batch_size, source)
    schedule, everything = relaxed(), torch.arange(batch_size).repeat(steps)
    pipeline = LocalEngine("cpu").open(Plan(stages(still, still.whole, [device]), schedule, batch_size, record=steps))
    try:
        coordinator = Coordinator(pipeline, schedule, task.rule.passes, batch_size=batch_size)
        coordinator.train(Stored(x, y, everything, batch_size), 0.0)
        return costs_of(task, pipeline.timeline(), _WARM_UP)
    finally:
        pipeline.close()


def random_labels(task: Task, count: int, source: torch.Generator) -> Tensor:
    """Labels of so many items: classes, (count,), int64; or numbers, (count, classes), float32."""
    if task.regression:
        return torch.randn(count, task.classes, generator=source)
    return torch.randint(task.classes, (count,), generator=source)


def costs_of(task: Task, timeline: Sequence[Spans], first: int) -> list[Cost]:
    """Milliseconds of each layer, from what all stages recorded: medians over the samples from `first` on."""
    one, other = task.rule.passes[0], task.rule.passes[-1]
    costs = []
    for spans in timeline:
        for layer in sorted({int(row["layer"]) for row in spans.of(PASS, one)}):
            median = functools.partial(median_ms, spans, first=first, layer=layer)
            second = median(PASS, other) if other != one else 0.0
            costs.append(Cost(median(PASS, one), second, sum(median(UPDATE, name) for name in task.rule.updates)))
    return costs


def median_ms(spans: Spans, phase: int, name: str, first: int, layer: int | None = None) -> float:
    """The median length of the spans of this phase, pass and layer, over the samples from `first` on."""
    rows = spans.of(phase, name, layer)
    rows = rows[rows["step"] >= first]
    return float(np.median(rows["end"] - rows["begin"])) / 1e6
