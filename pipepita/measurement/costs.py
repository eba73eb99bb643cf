"""What each layer costs, measured: its passes and its update, in process and one after the other."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from pipepita.engines.local import LocalEngine
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import relaxed
from pipepita.schedule.recurrence import Cost
from pipepita.timeline.recorder import PASS, UPDATE, Spans

_SAMPLES = 24
_WARM_UP = 8


def measured_costs(stage: StageSpec, batch_size: int, samples: int = _SAMPLES) -> list[Cost]:
    """Milliseconds of each layer of `stage`, which must hold the whole network: medians over some samples.

    They are random items of the right shape, and the layers end as they were. On a CPU or GPU as `stage` says; an
    emulated device's pace counts.
    """
    before = [[parameter.clone() for parameter in layer.parameters] for layer in stage.layers]
    steps = samples + _WARM_UP
    source = torch.Generator().manual_seed(stage.seed)
    x = torch.rand(batch_size, *stage.layers[0].in_shape, generator=source)
    y = torch.randint(stage.classes, (batch_size,), generator=source)
    schedule = relaxed()
    # nothing can diverge at rate 0, where an update costs as much; what comes before an epoch is no part of a sample
    rule = dataclasses.replace(stage.rule, mirror=0) if getattr(stage.rule, "mirror", 0) else stage.rule  # type: ignore[type-var]
    still = dataclasses.replace(stage, lr=0.0, rule=rule)
    pipeline = LocalEngine("cpu").open(Plan([still], schedule, batch_size, record=steps))
    try:
        coordinator = Coordinator(pipeline, schedule, stage.rule.passes, batch_size=batch_size)
        for epoch in range(steps):
            coordinator.train_epoch(x, y, epoch, 0.0)
        (spans,) = pipeline.timeline()
    finally:
        pipeline.close()
    for layer, parameters in zip(stage.layers, before, strict=True):
        layer.to(parameters[0].device)
        for parameter, value in zip(layer.parameters, parameters, strict=True):
            parameter.copy_(value)
    first, second = stage.rule.passes[0], stage.rule.passes[-1]
    return [
        Cost(
            _median(spans, PASS, first, layer.number),
            _median(spans, PASS, second, layer.number) if second != first else 0.0,
            sum(_median(spans, UPDATE, name, layer.number) for name in rule.updates),
        )
        for layer in stage.layers
    ]


def _median(spans: Spans, phase: int, name: str, layer: int) -> float:
    rows = spans.of(phase, name, layer)
    rows = rows[rows["step"] >= _WARM_UP]
    return float(np.median(rows["end"] - rows["begin"])) / 1e6
