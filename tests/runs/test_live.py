"""A live source on a cluster whose stages die. The source cannot give a sample twice."""

from __future__ import annotations

import pytest
import torch
from faults import kill, model
from live import Ticks

import pipepita as pp
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs.listeners import Listener
from pipepita.runs.recovery import Guarded, follow
from pipepita.schedule import streaming

pytestmark = pytest.mark.slow


def test_a_live_stream_is_learnt_from_exactly_once(engine, few_digits):
    """What arrived since the last snapshot is kept. Each sample is predicted once, with the same weights as always."""

    def run(where, at):
        net = model(few_digits)
        spec.initialise(net, 0)
        layers = cut(net, few_digits.item_shape, 10, 0)
        plan = Plan(
            stages(Task(layers, 10, pp.Pepita(), lr=0.05), [range(i, i + 1) for i in range(3)]), streaming(3), 4
        )
        restarts = []

        class Heard(Listener):
            def restarted(self, restart):
                restarts.append(restart)

        guarded = Guarded(where, plan, max_restarts=5, listener=Heard())
        guarded.open()
        coordinator = Coordinator(guarded.pipeline, streaming(3), pp.Pepita().passes, batch_size=4)
        source = Ticks(few_digits, 50, at)
        tally = follow(guarded, coordinator, source, 0.05, 8)
        state = guarded.learnt
        guarded.close()
        return tally, state, source.answers, restarts

    tally, expected, answers, _ = run(pp.LocalEngine("cpu"), lambda number: None)
    assert (tally.steps, len(answers)) == (50, 50)
    again, learnt, same, restarts = run(engine, lambda number: kill(engine, 1) if number in (11, 40) else None)
    assert len(restarts) == 2
    assert again.steps == 50
    for mine, theirs in zip(learnt, expected, strict=True):
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert [step for step, _ in same] == [step for step, _ in answers]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(same, answers, strict=True))
