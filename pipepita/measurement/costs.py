"""What each layer costs: its passes and its update, measured one after the other in this process."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

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
    x = torch.rand(batch_size, *task.layers[0].in_shape, generator=source)
    y = torch.randint(task.classes, (batch_size,), generator=source)
    schedule, everything = relaxed(), torch.arange(batch_size).repeat(steps)
    pipeline = LocalEngine("cpu").open(Plan(stages(still, still.whole, [device]), schedule, batch_size, record=steps))
    try:
        coordinator = Coordinator(pipeline, schedule, task.rule.passes, batch_size=batch_size)
        coordinator.train(Stored(x, y, everything, batch_size), 0.0)
        (spans,) = pipeline.timeline()
    finally:
        pipeline.close()
    first, second = task.rule.passes[0], task.rule.passes[-1]
    return [
        Cost(
            _median(spans, PASS, first, layer.number),
            _median(spans, PASS, second, layer.number) if second != first else 0.0,
            sum(_median(spans, UPDATE, name, layer.number) for name in task.rule.updates),
        )
        for layer in task.layers
    ]


def _median(spans: Spans, phase: int, name: str, layer: int) -> float:
    rows = spans.of(phase, name, layer)
    rows = rows[rows["step"] >= _WARM_UP]
    return float(np.median(rows["end"] - rows["begin"])) / 1e6
