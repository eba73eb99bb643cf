"""What timed runs say of layers, messages and the coordinator, on recordings that are made up."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.task import Task
from pipepita.planning.contender import TimedRun
from pipepita.planning.readings import Staged, crowded, period, roomy, single
from pipepita.schedule.forecast import arrivals
from pipepita.schedule.topology import Topology
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import OTHER, PASS, RECEIVE, SEND, UPDATE, Spans

STANDARD, MODULATED = NAMES = ("standard", "modulated")
PARTS = [range(1), range(1, 2)]
FIELDS = [(field, np.int64) for field in ("phase", "name", "layer", "step", "begin", "end")]


@pytest.fixture(scope="module")
def task():
    return Task(cut(pp.build("fc:5", (4,), 3), (4,), 3), 3, pp.Pepita(modulate="input"))


def spans(steps: int, *rows: tuple[int, str, int, int, int]) -> Spans:
    """rows: (phase, pass, layer, begin, end) of each sample, in microseconds since its beginning; one every 10 ms."""
    return Spans(
        NAMES,
        np.array(
            [
                (phase, NAMES.index(name), layer, step, 1000 * (10_000 * step + begin), 1000 * (10_000 * step + end))
                for step in range(steps)
                for phase, name, layer, begin, end in rows
            ],
            FIELDS,
        ),
    )


def run(wait: int = 1300, period_ms: float = 10.0, slower: int = 0) -> TimedRun:
    """A run of two stages whose second one begins to wait `wait` microseconds before a message is there."""
    first = spans(
        5,
        (RECEIVE, STANDARD, 0, -50, 0), (PASS, STANDARD, 1, 0, 1000 + slower), (SEND, STANDARD, 0, 1100, 1200),
        (RECEIVE, MODULATED, 0, 2950, 3000), (PASS, MODULATED, 1, 3000, 4000), (UPDATE, MODULATED, 1, 4000, 4500),
        (SEND, MODULATED, 0, 4500, 4600),
    )  # fmt: skip
    second = spans(
        5,
        (RECEIVE, STANDARD, 0, 1400 - wait, 1400), (PASS, STANDARD, 2, 1400, 2400), (SEND, STANDARD, 0, 2400, 2450),
        (RECEIVE, MODULATED, 0, 4800 - wait, 4800), (PASS, MODULATED, 2, 4800, 5800),
        (UPDATE, MODULATED, 2, 5800, 6300),
    )  # fmt: skip
    coordinator = spans(
        5,
        (OTHER, STANDARD, 0, -700, -670), (SEND, STANDARD, 0, -670, -520),
        (OTHER, MODULATED, 0, 2500, 2520), (PASS, MODULATED, 0, 2520, 2560),
    )  # fmt: skip
    return TimedRun(period_ms, 1, Timeline(coordinator, [first, second], NAMES))


def costs(terms):
    return [astuple(cost)[:3] for cost in terms.calm]


def test_layers_messages_and_the_coordinator(task):
    terms = roomy(task, Staged(PARTS, [run(), run()], [run(wait=50), run()]), [run(), run()])
    assert costs(terms) == [(1.0, 1.0, 0.5), (1.0, 1.0, 0.5)]
    # from ringing at 1,200 to being there at 1,400 us; one that is there already takes 50 us
    assert (terms.message.send, terms.message.wake, terms.message.receive) == pytest.approx((0.1, 0.2, 0.05))
    # admitting takes 30 us, and its message 50 us more than one between stages
    assert astuple(terms.coordination) == pytest.approx((0.08, 0.02, 0.04))


def test_the_smallest_of_all_rounds_counts(task):
    terms = roomy(task, Staged(PARTS, [run(slower=90), run(), run(slower=50)], [run()] * 3), [run()] * 3)
    assert costs(terms)[0] == (1.0, 1.0, 0.5)


def test_what_a_sample_took_is_compared_with_one_process_in_the_same_round(task):
    alone = [run(period_ms=4.0), run(period_ms=8.0), run(period_ms=4.0)]
    twice = [run(period_ms=8.0), run(period_ms=16.0), run(period_ms=8.0)]
    assert period(alone) == 4.0
    took = Staged(PARTS, twice, alone).took(alone)
    assert (took.calm, took.busy) == (8.0, 4.0)


def test_what_crowding_costs_the_layers_is_a_part_of_each_message(task):
    few = roomy(task, Staged(PARTS, [run()], [run(wait=50)]), [run()])
    terms = crowded(task, Staged(PARTS, [run(slower=100)], [run()]), [run()], few)
    each = 0.1 / arrivals(Topology(task.rule, PARTS))
    assert terms.message.send == few.message.send
    assert terms.message.wake == terms.message.receive == pytest.approx(0.2 + each)
    assert crowded(task, Staged(PARTS, [run()], [run()]), [run()], few).message.wake == pytest.approx(0.2)


def test_one_stage_has_the_costs_of_one_process(task):
    few = roomy(task, Staged(PARTS, [run(slower=70)], [run()]), [run()])
    whole = [range(2)]
    terms = single(task, Staged(whole, [run()], [run()]), [run()], few)
    assert terms.parts == whole and costs(terms) == [(1.0, 1.0, 0.5), (1.0, 1.0, 0.5)]
    assert terms.message == few.message
