"""A turn of PEPITA through an engine: milliseconds per step, and what each stage did in that time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.network.partition import balance
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages as stages_of
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import make
from pipepita.timeline.recorder import PASS, RECEIVE, SEND, UPDATE, Spans

_WARM_UP = 4  # a quarter of the steps
LR = 0.01


@dataclass(frozen=True)
class Did:
    """Milliseconds per step of what one stage did."""

    passes: float
    updates: float
    sending: float
    receiving: float


@dataclass(frozen=True)
class Turn:
    """What was measured.

    Attributes:
        step_ms: The mean time from one step to the next.
        did: What each stage did.
    """

    step_ms: float
    did: Sequence[Did]


def turn(
    model: nn.Sequential, shape: tuple[int, ...], rule: pp.Pepita, batch: int, engine: Engine, stages: int, steps: int
) -> Turn:
    """Trains a copy of `model` for so many steps with random items, streaming if there are several stages."""
    layers = cut(model, shape, 10)
    task = Task(layers, 10, rule, "sgd", LR, threads=1)
    schedule = make("streaming" if stages > 1 else "relaxed", stages)
    parts = balance([layer.cost for layer in layers], stages)
    x, y = torch.rand(steps * batch, *shape), torch.randint(0, 10, (steps * batch,))
    pipeline = engine.open(Plan(stages_of(task, parts), schedule, batch, record=steps))
    try:
        tally = Coordinator(pipeline, schedule, rule.passes, batch_size=batch).train_epoch(x, y, 1, LR)
        first = steps // _WARM_UP
        gaps = [later - one for one, later in zip(tally.completed[first:], tally.completed[first + 1 :], strict=False)]
        return Turn(1000 * statistics.fmean(gaps), [_did(spans, steps - first) for spans in pipeline.timeline()])
    finally:
        pipeline.close()


def _did(spans: Spans, steps: int) -> Did:
    rows = spans.rows[spans.rows["step"] >= spans.rows["step"].max() - steps + 1]

    def milliseconds(phase: int) -> float:
        chosen = rows[rows["phase"] == phase]
        return float((chosen["end"] - chosen["begin"]).sum()) / 1e6 / steps

    return Did(milliseconds(PASS), milliseconds(UPDATE), milliseconds(SEND), milliseconds(RECEIVE))
