"""From timed runs of short pipelines to what layers, messages and the coordinator cost.

The figures are medians over samples, and the smallest of all rounds, so that other programs disturb them little. How
long a whole sample took is the median of the rounds: what disturbs everything should be in it.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from pipepita.measurement.contender import TimedRun
from pipepita.measurement.costs import costs_of, median_ms
from pipepita.measurement.predict import Terms
from pipepita.pipeline.coordinator import COLLECT
from pipepita.pipeline.task import Task
from pipepita.schedule.forecast import Coordination, Message, arrivals
from pipepita.schedule.topology import Topology
from pipepita.schedule.world import Cost
from pipepita.timeline.recorder import OTHER, PASS, RECEIVE, SEND

Runs = Sequence[TimedRun]  # of one pipeline, one per round


def roomy(task: Task, parts: Sequence[range], calm: Runs, busy: Runs) -> Terms:
    """What a pipeline says that has at most as many stages as cores.

    calm, busy: its runs with one and with several samples in flight.
    """
    message = _message(calm, busy)
    coordination = _coordination(task, calm, message.send)
    return Terms(parts, costs(task, calm), costs(task, busy), message, coordination, period(calm), period(busy))


def crowded(task: Task, parts: Sequence[range], calm: Runs, busy: Runs, few: Terms) -> Terms:
    """What a pipeline says that has more stages than cores. few: what one says that has fewer.

    A process that gets a message has to be woken up for it, and its caches hold what others have used since. What that
    costs the layers is counted as a part of the message, because it grows with the stages and not with the layers.
    """
    message, slower = _message(calm, calm), _total(costs(task, calm)) - _total(few.calm)
    wake = message.wake + max(0.0, slower) / arrivals(Topology(task.rule, parts))
    message = Message(message.send, wake, wake)
    return Terms(parts, few.calm, few.busy, message, few.coordination, period(calm), period(busy))


def costs(task: Task, runs: Runs) -> list[Cost]:
    """What each layer costs."""
    rounds = [costs_of(task, one.timeline.stages, one.first) for one in runs]
    return [_least(layer) for layer in zip(*rounds, strict=True)]


def period(runs: Runs) -> float:
    """What a sample takes."""
    return statistics.median(one.period_ms for one in runs)


def _total(layers: Sequence[Cost]) -> float:
    return sum(cost.total for cost in layers)


def _least(values: Sequence[Any]) -> Any:
    """The smallest value of each field."""
    return type(values[0])(*map(min, zip(*map(dataclasses.astuple, values), strict=True)))


def _message(calm: Runs, busy: Runs) -> Message:
    """What a message between two stages costs. calm: runs in which receivers wait. busy: in which some do not."""
    receive = min(min(_of_stages(one, RECEIVE)) for one in busy)
    # the last stage sends to the coordinator, which needs less
    send = min(statistics.median(_of_stages(one, SEND)[:-1] or _of_stages(one, SEND)) for one in calm)
    # together, since a sender may be interrupted after it has rung, and then the message is there before it goes on
    hops = [np.add(hop["send"], hop["wake"]) for hop in (one.timeline.hops_ms(one.first) for one in calm)]
    # without a second pass there is always a next sample, and hardly a stage ever waits
    whole = min((float(np.median(hop)) for hop in hops if len(hop)), default=send + receive)
    wake = max(0.0, whole - send)
    return Message(send, wake, min(wake, receive))


def _of_stages(one: TimedRun, phase: int) -> list[float]:
    """How long each stage took to receive, or to send, a message of the first pass."""
    return [median_ms(spans, phase, one.timeline.passes[0], one.first) for spans in one.timeline.stages]


def _coordination(task: Task, runs: Runs, send: float) -> Coordination:
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
    return cast(Coordination, _least(rounds))
