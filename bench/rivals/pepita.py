"""PEPITA: stages of pipepita, in either engine."""

from __future__ import annotations

import os
import time

import pipepita as pp
from bench.rivals.net import Net
from bench.rivals.turn import Turn, cpu_seconds, memory_mib, warm_up
from pipepita.engines.ray.engine import RayPipeline
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages as stages_of
from pipepita.pipeline.tally import Tally
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.rules.pepita import Modulate
from pipepita.schedule import Schedule, relaxed


def engine_turn(
    net: Net,
    engine: Engine,
    schedule: Schedule,
    stages: int,
    steps: int,
    threads: int = 1,
    modulate: Modulate = "input",
) -> Turn:
    """One turn of `schedule` through `engine`. The first quarter of the steps does not count."""
    rule = pp.Pepita(modulate=modulate)
    task = Task(net.layers(), net.classes, rule, "sgd", net.lr, threads=threads)
    x, y = net.data(steps)
    first = warm_up(steps)
    marks: list[tuple[float, float]] = []  # CPU seconds of (the stages, this process)
    pipeline = engine.open(Plan(stages_of(task, net.parts(stages)), schedule, net.batch))
    pids = pipeline.pids() if isinstance(pipeline, RayPipeline) else [os.getpid()]

    def mark(tally: Tally) -> None:
        if tally.steps in (first, steps):
            marks.append((sum(map(cpu_seconds, pids)), time.process_time()))

    try:
        coordinator = Coordinator(pipeline, schedule, rule.passes, batch_size=net.batch, on_sample=mark)
        tally = coordinator.train_epoch(x, y, 1, net.lr)
        (stages_before, own_before), (stages_after, own_after) = marks
        return Turn(
            steps - first,
            tally.completed[-1] - tally.completed[first - 1],
            stages_after - stages_before,
            max(map(memory_mib, pids)),
            0.0 if os.getpid() in pids else own_after - own_before,
        )
    finally:
        pipeline.close()


def local_turn(net: Net, steps: int, threads: int, modulate: Modulate) -> Turn:
    """One turn of the local engine: one stage, in this process."""
    return engine_turn(net, pp.LocalEngine("cpu"), relaxed(), 1, steps, threads, modulate)
