"""Measures what `predict` needs: the network in one process, and in one or two short pipelines of Ray actors.

    one process               what each layer costs, and what a sample takes
    as many stages as cores   layers that share caches and memory, messages to stages that need not sleep, the
                              coordinator
    more stages than cores    messages to processes that have to be woken up, layers whose caches others have used

All figures are medians over samples, and the smaller one of two rounds, so that other programs disturb them little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch

from pipepita import schedule as schedules
from pipepita.data import Data
from pipepita.engines.local import LocalEngine
from pipepita.network.partition import balance
from pipepita.pipeline.coordinator import COLLECT
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.planning.contender import Contender, Progress, TimedRun, run
from pipepita.planning.costs import costs_of, median_ms
from pipepita.planning.predict import Measured, Terms
from pipepita.schedule import Schedule
from pipepita.schedule.forecast import Coordination, Message, arrivals
from pipepita.schedule.topology import Topology
from pipepita.schedule.world import Cost
from pipepita.timeline.recorder import OTHER, PASS, RECEIVE, SEND

SECONDS = 0.4  # about how long one run takes
_ROUNDS = 2
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
    progress: Progress = lambda done, total, what: None,
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
    task = dataclasses.replace(task.copy(), lr=0.0)
    local, data = LocalEngine(engine.devices(1)[0]), _items(task, batch_size)
    relaxed = schedules.relaxed()

    def contender(on: Engine, parts: Sequence[range], schedule: Schedule) -> Contender:
        return Contender(on, Plan(stages(task, parts, on.devices(len(parts))), schedule, batch_size))

    alone = contender(local, task.whole, relaxed)
    first = run(alone, data, alone.warm_up + _FEWEST)  # it also warms up
    bare = costs_of(task, first.timeline.stages, first.first)
    few, *many = [balance([cost.total for cost in bare], count) for count in counts]
    found = {
        "one process": alone,
        f"{len(few)} stages, relaxed": contender(engine, few, relaxed),
        f"{len(few)} stages, streaming": contender(engine, few, streaming),
        **{f"{len(parts)} stages": contender(engine, parts, relaxed) for parts in many},
    }
    samples = min(_MOST, max(_FEWEST, round(1000 * seconds / first.period_ms)), _most(data, batch_size))
    runs: list[list[TimedRun]] = [[] for _ in found]
    for number in range(_ROUNDS):
        for place, (name, one) in enumerate(found.items()):
            progress(number * len(found) + place, _ROUNDS * len(found), name)
            runs[place].append(run(one, data, one.warm_up + samples))
    progress(len(found), len(found), "")
    whole, calm, busy, *crowded = runs
    message = _message(calm, busy)
    roomy = Terms(_costs(task, calm), _costs(task, busy), message, _coordination(task, calm, message.send))
    others = [_crowded(task, roomy, parts, one) for parts, one in zip(many, crowded, strict=True)]
    return Measured(_costs(task, whole), min(map(_gap, whole)), cores, roomy, *others)


def _crowded(task: Task, roomy: Terms, parts: Sequence[range], runs: list[TimedRun]) -> Terms:
    """From a pipeline with more stages than cores. There a process that gets a message has to be woken up for it.

    Its caches then hold what others have used. What that costs the layers is counted as a part of the message, because
    it depends on the number of stages and not on that of layers.
    """
    message, slower = _message(runs, runs), _total(_costs(task, runs)) - _total(roomy.calm)
    wake = message.wake + max(0.0, slower) / arrivals(Topology(task.rule, parts))
    return Terms(roomy.calm, roomy.busy, Message(message.send, wake, wake), roomy.coordination)


def _total(costs: Sequence[Cost]) -> float:
    return sum(cost.total for cost in costs)


def _each(choose: Callable[[Sequence[float]], float], values: Sequence[Any]) -> Any:
    """One value whose every field is chosen from the same field of all."""
    return type(values[0])(*map(choose, zip(*map(dataclasses.astuple, values), strict=True)))


def _costs(task: Task, runs: Sequence[TimedRun]) -> list[Cost]:
    rounds = [costs_of(task, one.timeline.stages, one.first) for one in runs]
    return [_each(min, layer) for layer in zip(*rounds, strict=True)]


def _message(calm: Sequence[TimedRun], busy: Sequence[TimedRun]) -> Message:
    """What a message between two stages costs. calm: runs in which receivers wait. busy: in which some do not."""
    receive = min(min(_receives(one)) for one in busy)
    send = min(float(np.median(_sends(one))) for one in calm)
    # together, since a sender may be interrupted after it has rung, and then the message is there before it goes on
    hops = [np.add(hop["send"], hop["wake"]) for hop in (one.timeline.hops_ms(one.first) for one in calm)]
    # without a second pass there is always a next sample, and hardly a stage ever waits
    whole = min((float(np.median(hop)) for hop in hops if len(hop)), default=send + receive)
    wake = max(0.0, whole - send)
    return Message(send, wake, min(wake, receive))


def _sends(one: TimedRun) -> list[float]:
    """How long each stage took to send on what its first pass computed; the last stage sends to the coordinator."""
    return [median_ms(spans, SEND, one.timeline.passes[0], one.first) for spans in one.timeline.stages[:-1]]


def _receives(one: TimedRun) -> list[float]:
    """How long each stage took to receive what its first pass needs; the busiest one does not have to wait for it."""
    return [median_ms(spans, RECEIVE, one.timeline.passes[0], one.first) for spans in one.timeline.stages]


def _coordination(task: Task, runs: Sequence[TimedRun], send: float) -> Coordination:
    """What the coordinator does for a sample. send: of a message between stages; a sample may be larger."""
    admit, *answers = task.rule.passes
    answer = answers[0] if answers else COLLECT

    def median(one: TimedRun, phase: int, name: str) -> float:
        return median_ms(one.timeline.coordinator, phase, name, one.first)

    rounds = [
        Coordination(
            median(one, OTHER, admit) + max(0.0, median(one, SEND, admit) - send),
            median(one, OTHER, answer),
            median(one, PASS, answer),
        )
        for one in runs
    ]
    return cast(Coordination, _each(min, rounds))


def _gap(one: TimedRun) -> float:
    """The median time from one sample's error to the next one's."""
    sent = one.timeline.coordinator.of(SEND)
    answered = sent[(sent["name"] != one.timeline.coordinator.names.index(one.timeline.passes[0]))]
    ends = answered[answered["step"] >= one.first]["end"]
    return float(np.median(np.diff(ends))) / 1e6


def _items(task: Task, batch_size: int) -> Data:
    """Random items; runs repeat them."""
    source = torch.Generator().manual_seed(task.seed)
    x = torch.rand(batch_size, *task.layers[0].item_shape, generator=source)
    y = torch.randint(task.classes, (batch_size,), generator=source)
    return Data(x, y, x, y, task.classes, "random")


def _most(data: Data, batch_size: int) -> int:
    """How many samples may count in a run, so that its items fit in memory."""
    return max(_FEWEST, _MOST_FLOATS // (batch_size * data.x_train[0].numel()))
