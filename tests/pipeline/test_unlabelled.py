"""Samples without labels, between those that are learnt from: they are predicted, and change nothing."""

from __future__ import annotations

import pytest
import torch

import pipepita as pp
from pipepita.errors import RunError
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import Schedule, adaptive, decisions, streaming

RULES = {
    "up": pp.Pepita(),
    "all": pp.Pepita(modulate="all"),
    "down": pp.Backprop(),
    "none": pp.LocalLoss(),
}
PARTS = {1: [range(3)], 2: [range(2), range(2, 3)], 3: [range(1), range(1, 2), range(2, 3)]}
ADAPTIVE = adaptive(2)
# L is learnt from, and U has no labels: alone, in a row, first and last
KINDS = "ULLULUULLU"
DECIDED = [True, True, False, True, False, False, True, False, True, False]


class Mixed:
    """A source of samples of each kind, all of which wait."""

    def __init__(self, data: pp.Data, kinds: str) -> None:
        self._data, self._kinds, self._next = data, kinds, 0
        self.answered: list[int] = []
        self.outputs: list[torch.Tensor] = []

    def take(self):
        if self._next == len(self._kinds):
            return None
        kind, number = self._kinds[self._next], self._kinds[: self._next].count(self._kinds[self._next])
        self._next += 1
        if kind == "U":
            first = 4 * number % (len(self._data.x_test) - 3)
            return self._data.x_test[first : first + 4], None
        items = slice(8 * number, 8 * number + 8)
        return self._data.x_train[items], self._data.y_train[items]

    def waiting(self):
        return True

    def ahead(self):
        pass

    def answer(self, step, output, there):
        self.answered.append(step)

    def predicted(self, output, there):
        self.outputs.append(output)


class Slow(Mixed):
    """The same, but no sample waits before those without labels have been predicted."""

    def waiting(self):
        return len(self.outputs) == self._kinds[: self._next].count("U")


def run(engine, data: pp.Data, rule: str, count: int, kinds: str = KINDS, schedule: Schedule = ADAPTIVE, mixed=Mixed):
    """What was learnt, and the source."""
    model = pp.build("fc:20x2", data.item_shape, 10, normal=True)
    pp.initialise(model, 3)
    layers = cut(model, data.item_shape, 10)
    task = Task(layers, 10, RULES[rule].settled(3), "sgd:momentum=0.9", 0.05, 3)
    source = mixed(data, kinds)
    pipeline = engine.open(Plan(stages(task, PARTS[count]), schedule, 8))
    try:
        coordinator = Coordinator(pipeline, schedule, task.rule.passes, batch_size=8)
        coordinator.train(source, 0.05, order=decisions.Order(DECIDED))
        assert coordinator.step == kinds.count("L")
        return pipeline.state(), source
    finally:
        pipeline.close()


def assert_same(one, other) -> None:
    assert one[0].weights.keys() == other[0].weights.keys()
    assert all(torch.equal(value, other[0].weights[key]) for key, value in one[0].weights.items())
    assert all(torch.equal(a, b) for a, b in zip(one[1].outputs, other[1].outputs, strict=True))


@pytest.mark.parametrize("rule", RULES)
def test_they_change_nothing_in_any_split(few_digits, rule):
    local = pp.LocalEngine("cpu")
    without, _ = run(local, few_digits, rule, 1, KINDS.replace("U", ""))
    one = run(local, few_digits, rule, 1)
    assert one[1].answered == [0, 1, 2, 3, 4] and len(one[1].outputs) == KINDS.count("U")
    assert all(torch.equal(value, one[0].weights[key]) for key, value in without.weights.items())
    for count in (2, 3):
        assert_same(one, run(local, few_digits, rule, count))


@pytest.mark.parametrize("rule", RULES)
def test_outputs_that_arrive_before_their_turn_are_kept(few_digits, rule):
    """An order is repeated by which a sample enters, and it has not arrived yet, while outputs do."""
    one, slow = (run(pp.LocalEngine("cpu"), few_digits, rule, 2, mixed=mixed) for mixed in (Mixed, Slow))
    assert_same(one, slow)


def test_no_more_of_them_are_on_their_way_than_the_window_has(few_digits):
    on_their_way = []

    class Counted(Mixed):
        def take(self):
            on_their_way.append(self._kinds[: self._next].count("U") - len(self.outputs))
            return super().take()

    run(pp.LocalEngine("cpu"), few_digits, "up", 2, "LL" + "U" * 9 + "LLL", mixed=Counted)
    assert max(on_their_way) == ADAPTIVE.window


def test_they_need_a_schedule_that_adapts(few_digits):
    with pytest.raises(RunError, match="a sample without labels needs the schedule adaptive, not streaming"):
        run(pp.LocalEngine("cpu"), few_digits, "up", 1, schedule=streaming(2))


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_in_actors_too(ray_engine, few_digits, rule):
    local = run(pp.LocalEngine("cpu"), few_digits, rule, 1)
    ray_engine.transport = None
    assert_same(local, run(ray_engine, few_digits, rule, 2))


@pytest.mark.slow
def test_more_of_them_in_a_row_than_the_channels_hold(ray_engine, few_digits):
    many = "LL" + "U" * 40 + "LLL"
    local = run(pp.LocalEngine("cpu"), few_digits, "down", 1, many)
    assert len(local[1].outputs) == 40
    ray_engine.transport = None
    assert_same(local, run(ray_engine, few_digits, "down", 2, many))
