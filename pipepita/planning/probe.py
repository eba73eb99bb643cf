"""Measures what `predict` needs: the network in one process, and in up to three short pipelines of Ray actors.

    one process               what each layer costs
    one stage                 what is gained if the coordinator has a process of its own
    as many stages as cores   layers that share caches and memory, messages to stages that need not sleep, the
                              coordinator
    more stages than cores    messages to processes that have to be woken up, layers whose caches others have used

All of them take turns over some rounds, with one and with several samples in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from pipepita import schedule as schedules
from pipepita.data import Data
from pipepita.engines.local import LocalEngine
from pipepita.network.partition import balance
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.planning import readings
from pipepita.planning.contender import Contender, TimedRun, run
from pipepita.planning.costs import random_labels
from pipepita.planning.predict import Measured
from pipepita.progress import Progress, silent
from pipepita.schedule import Schedule

SECONDS = 0.3  # about how long one run takes
_ROUNDS = 3
_FEWEST, _MOST = 4, 200  # samples that count in a run
_MOST_FLOATS = 1 << 24  # that the items of a run have together
_MOST_STAGES = 4  # of the pipeline with a core for each stage
_MORE = 2  # so many stages more than cores has the other one


def probes(layers: int, cores: int) -> list[int]:
    """How many stages the pipelines have that are measured, for a network of at least two layers.

    >>> probes(2, 2), probes(9, 2), probes(9, 16), probes(3, 1)
    ([2], [2, 4], [4], [2, 3])
    """
    roomy = min(layers, max(2, min(cores, _MOST_STAGES)))
    return [roomy, *({min(layers, cores + _MORE)} - {roomy} if layers > cores else ())]


def measure(
    task: Task,
    batch_size: int,
    streaming: Schedule,
    engine: Engine,
    *,
    counts: Sequence[int],
    cores: int,
    seconds: float = SECONDS,
    progress: Progress = silent,
) -> Measured:
    """Measures `task`, which stays as it is, with random items.

    Args:
        task: What is to be trained.
        batch_size: How many items a sample has.
        streaming: The schedule with several samples in flight.
        engine: An open engine.
        counts: How many stages the one or two pipelines have in which it is measured, like `probes`.
        cores: How many stages can work at the same time.
        seconds: About how long one run takes.
        progress: Called with (runs done, runs in all, what runs next).

    Returns:
        Milliseconds.
    """
    # with a learning rate of 0 nothing can diverge, and an update costs as much
    task = replace(task.copy(), lr=0.0)
    local, data = LocalEngine(engine.devices(1)[0]), items(task, batch_size)
    relaxed = schedules.relaxed()

    def contender(on: Engine, parts: Sequence[range], schedule: Schedule) -> Contender:
        return Contender(on, Plan(stages(task, parts, on.devices(len(parts))), schedule, batch_size))

    alone = contender(local, task.whole, relaxed)
    first = run(alone, data, alone.warm_up + _FEWEST)  # it also warms up
    samples = min(_MOST, max(_FEWEST, round(1000 * seconds / first.period_ms)), _most(data, batch_size))
    bare = readings.costs(task, [first, run(alone, data, alone.warm_up + samples)])
    splits = [task.whole, *(balance([cost.total for cost in bare], count) for count in counts)]
    found = {"one process": alone}
    for parts in splits:
        for schedule in (relaxed, streaming):
            found[f"{len(parts)} stages, {schedule.name}"] = contender(engine, parts, schedule)
    widest = list(found.values())[-1]
    run(widest, data, widest.warm_up + _FEWEST)  # by then all actors have started
    runs: dict[str, list[TimedRun]] = {name: [] for name in found}
    for number in range(_ROUNDS):
        for place, (name, one) in enumerate(found.items()):
            progress(number * len(found) + place, _ROUNDS * len(found), name)
            runs[name].append(run(one, data, one.warm_up + samples))
    whole, *staged = runs.values()
    single, roomy, *others = map(readings.Staged, splits, staged[::2], staged[1::2])
    few = readings.roomy(task, roomy, whole)
    crowded = [readings.crowded(task, many, whole, few) for many in others]
    return Measured(readings.period(whole), cores, readings.single(task, single, whole, few), few, *crowded)


def items(task: Task, batch_size: int) -> Data:
    """Random items; runs repeat them."""
    source = torch.Generator().manual_seed(task.seed)
    x = torch.rand(batch_size, *task.layers[0].item_shape, generator=source)
    y = random_labels(task, batch_size, source)
    return Data(x, y, x, y, task.classes, "random")


def _most(data: Data, batch_size: int) -> int:
    """How many samples may count in a run, so that its items fit in memory."""
    return max(_FEWEST, _MOST_FLOATS // (batch_size * data.x_train[0].numel()))
