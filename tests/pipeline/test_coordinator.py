"""What the coordinator does while nothing arrives."""

import pytest
import torch

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.source import Labelled
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import adaptive, relaxed


class Seldom(Labelled):
    """Single items. Before each, nothing waits, and it is noted what has been learnt by then."""

    def __init__(self, data, pipeline):
        self._data, self._pipeline, self._next = data, pipeline, 0
        self.known = []

    def take(self):
        self.known.append(self._pipeline.state().weights)
        if self._next == 3:
            return None
        self._next += 1
        return self._data.x_train[self._next : self._next + 1], self._data.y_train[self._next : self._next + 1]

    def waiting(self):
        return False

    def ahead(self):
        pass

    def answer(self, step, output, there):
        pass


@pytest.mark.parametrize("schedule", [adaptive(3), relaxed()], ids=["adaptive", "relaxed"])
@pytest.mark.parametrize("rule", [pp.Pepita(modulate="all"), pp.Backprop(), pp.LocalLoss()], ids=repr)
@pytest.mark.parametrize("count", [1, 3])
def test_while_nothing_arrives_all_is_learnt(few_digits, schedule, rule, count):
    """The last sample's updates do not wait until the next one comes."""
    model = pp.build("fc:20x2", few_digits.item_shape, 10, normal=True)
    pp.initialise(model, 3)
    task = Task(cut(model, few_digits.item_shape, 10), 10, rule.settled(3), "sgd", 0.05, 3)
    parts = [range(3)] if count == 1 else [range(1), range(1, 2), range(2, 3)]
    pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, parts), schedule, 1))
    source = Seldom(few_digits, pipeline)
    Coordinator(pipeline, schedule, rule.passes, batch_size=1).train(source, 0.05)
    for before, after in zip(source.known, source.known[1:], strict=False):
        assert not all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(value, source.known[-1][name]) for name, value in pipeline.state().weights.items())
    pipeline.close()
