"""From timed runs of short pipelines to what layers, messages and the coordinator cost.

The figures are medians over samples, and the smallest of all rounds, so that other programs disturb them little. What a
whole sample took is compared with one process in the same round, so that a machine that becomes slower favours none.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, cast

import numpy as np

from pipepita.pipeline.coordinator import COLLECT
from pipepita.pipeline.task import Task
from pipepita.planning.contender import TimedRun
from pipepita.planning.costs import costs_of, median_ms
from pipepita.planning.predict import Terms, Took
from pipepita.schedule.forecast import Coordination, Message, arrivals
from pipepita.schedule.topology import Topology
from pipepita.schedule.world import Cost
from pipepita.timeline.recorder import OTHER, PASS, RECEIVE, SEND

Runs = Sequence[TimedRun]  # of one pipeline, one per round


@dataclass(frozen=True)
class Staged:
    """The runs of one split into stages.

    Attributes:
        calm, busy: With one and with several samples in flight.
    """

    parts: Sequence[range]
    calm: Runs
    busy: Runs

    def took(self, alone: Runs) -> Took:
        """What a sample took. alone: the runs of one process in the same rounds."""
        return Took(_compared(self.calm, alone), _compared(self.busy, alone))


def single(task: Task, one: Staged, alone: Runs, few: Terms) -> Terms:
    """What a pipeline of one stage says. alone: one process. few: what one of several stages says."""
    bare = costs(task, alone)
    return replace(few, parts=one.parts, calm=bare, busy=bare, took=one.took(alone))


def roomy(task: Task, few: Staged, alone: Runs) -> Terms:
    """What a pipeline says that has at most as many stages as cores. alone: one process."""
    message = _message(few.calm, few.busy)
    return Terms(
        few.parts, costs(task, few.calm), costs(task, few.busy), message,
        _coordination(task, few.calm, message.send), few.took(alone),
    )  # fmt: skip


def crowded(task: Task, many: Staged, alone: Runs, few: Terms) -> Terms:
    """What a pipeline says that has more stages than cores. alone: one process. few: what one says that has fewer.

    A process that gets a message has to be woken up for it, and its caches hold what others have used since. What that
    costs the layers is counted as a part of the message, because it grows with the stages and not with the layers.
    """
    message, slower = _message(many.calm, many.calm), _total(costs(task, many.calm)) - _total(few.calm)
    wake = message.wake + max(0.0, slower) / arrivals(Topology(task.rule, many.parts))
    return replace(few, parts=many.parts, message=Message(message.send, wake, wake), took=many.took(alone))


def period(runs: Runs) -> float:
    """What a sample took."""
    return statistics.median(one.period_ms for one in runs)


def _compared(runs: Runs, alone: Runs) -> float:
    """What a sample took if one process took what it usually takes."""
    times = [one.period_ms / base.period_ms for one, base in zip(runs, alone, strict=True)]
    return statistics.median(times) * period(alone)


def costs(task: Task, runs: Runs) -> list[Cost]:
    """What each layer costs."""
    rounds = [costs_of(task, one.timeline.stages, one.first) for one in runs]
    return [_least(layer) for layer in zip(*rounds, strict=True)]


def _total(layers: Sequence[Cost]) -> float:
    return sum(cost.total for cost in layers)


def _least(values: Sequence[Any]) -> Any:
    """The smallest value of each field."""
    return type(values[0])(*map(min, zip(*map(astuple, values), strict=True)))


def _message(calm: Runs, busy: Runs) -> Message:
    """What a message between two stages costs. calm: runs in which receivers wait. busy: in which some do not."""
    receive = min(min(_of_stages(one, RECEIVE)) for one in busy)
    # the last stage sends to the coordinator, which needs less
    send = min(statistics.median(_of_stages(one, SEND)[:-1] or _of_stages(one, SEND)) for one in calm)
    # together, since a sender may be interrupted after it has rung, and then the message is there before it goes on
    hops = [np.add(hop["send"], hop["wake"]) for hop in (one.timeline.hops_ms(one.first) for one in calm)]
    # without a second pass there is always a next sample, and hardly a stage ever waits
    whole = min((float(np.median(hop)) for hop in hops if len(hop)), default=send + receive)
    wake = max(receive, whole - send)
    return Message(send, wake, receive)


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
