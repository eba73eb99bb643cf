"""`python -m bench.recording`: the same run with and without a timeline, in turn."""

from __future__ import annotations

import statistics
from typing import Any

import torch

import pipepita as pp
from bench.common import note
from pipepita.network.cut import cut
from pipepita.network.partition import balance
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages as stages_of
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import relaxed
from pipepita.timeline.recorder import coordinator_recorder

CASES = (("fc:64x8", 1, 2000), ("fc:64x8", 64, 1000), ("fc:512x8", 64, 100))


def period_ms(engine: Engine, network: str, batch: int, samples: int, stages: int, record: int) -> float:
    """Milliseconds per sample of one run, after the first quarter."""
    model = pp.build(network, (784,), 10)
    pp.initialise(model, 0)
    layers = cut(model, (784,), 10)
    parts = balance([layer.cost for layer in layers], stages)
    task = Task(layers, 10, pp.Pepita(modulate="input"), "sgd", 0.001)
    data, schedule = pp.load("random:784"), relaxed()
    chosen = torch.arange(samples * batch) % len(data.x_train)
    pipeline = engine.open(Plan(stages_of(task, parts), schedule, batch, record))
    try:
        coordinator = Coordinator(
            pipeline, schedule, task.rule.passes, batch_size=batch, recorder=coordinator_recorder(record)
        )
        done = coordinator.train_epoch(data.x_train[chosen], data.y_train[chosen], 1, 0.001).completed
    finally:
        pipeline.close()
    warm = len(done) // 4
    return 1000 * (done[-1] - done[warm]) / (len(done) - 1 - warm)


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per network and engine."""
    rounds = 3 if quick else 15
    ray = pp.RayEngine(2, device="cpu")
    try:
        rows = []
        for network, batch, samples in CASES:
            for engine, stages in ((pp.LocalEngine("cpu"), 1), (ray, 2)):
                note(f"{network}, batch {batch}, {engine.name}")
                figures: dict[int, list[float]] = {0: [], samples: []}
                for number in range(rounds):
                    for record in sorted(figures, reverse=bool(number % 2)):
                        figures[record].append(period_ms(engine, network, batch, samples, stages, record))
                rows.append(
                    {
                        "network": network,
                        "batch": batch,
                        "engine": engine.name,
                        "stages": stages,
                        "without, ms": statistics.median(figures[0]),
                        "with, ms": statistics.median(figures[samples]),
                        "with / without": statistics.median(
                            b / a for a, b in zip(figures[0], figures[samples], strict=True)
                        ),
                    }
                )
        return rows
    finally:
        ray.close()
