"""What the coordinator does while nothing arrives, what it notices, and in which order it trains."""

import pytest
import torch

import pipepita as pp
from pipepita.channels.channel import Message
from pipepita.errors import RunError
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.source import Labelled, shuffled
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


def opened(data, rule, parts, schedule):
    model = pp.build("fc:20x2", data.item_shape, 10, normal=True)
    pp.initialise(model, 3)
    task = Task(cut(model, data.item_shape, 10), 10, rule.settled(3), "sgd", 0.05, 3)
    return pp.LocalEngine("cpu").open(Plan(stages(task, parts), schedule, 1))


@pytest.mark.parametrize("schedule", [adaptive(3), relaxed()], ids=["adaptive", "relaxed"])
@pytest.mark.parametrize("rule", [pp.Pepita(modulate="all"), pp.Backprop(), pp.LocalLoss()], ids=repr)
@pytest.mark.parametrize("count", [1, 3])
def test_while_nothing_arrives_all_is_learnt(few_digits, schedule, rule, count):
    """The last sample's updates do not wait until the next one comes."""
    parts = [range(3)] if count == 1 else [range(1), range(1, 2), range(2, 3)]
    pipeline = opened(few_digits, rule, parts, schedule)
    source = Seldom(few_digits, pipeline)
    Coordinator(pipeline, schedule, rule.passes, batch_size=1).train(source, 0.05)
    for before, after in zip(source.known, source.known[1:], strict=False):
        assert not all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(value, source.known[-1][name]) for name, value in pipeline.state().weights.items())
    pipeline.close()


def test_an_output_of_another_sample_is_noticed(few_digits):
    pipeline = opened(few_digits, pp.Pepita(), [range(3)], relaxed())
    receive = pipeline.outputs.receive

    def of_the_next(timeout=None):
        message = receive(timeout)
        message.step += 1
        return message

    pipeline.outputs.receive = of_the_next
    with pytest.raises(RunError, match="the output of sample 1 arrived when sample 0's was due"):
        Coordinator(pipeline, relaxed(), pp.Pepita().passes, batch_size=1).train(Seldom(few_digits, pipeline), 0.05)


def test_with_another_pipeline_outputs_of_the_old_one_are_forgotten(few_digits):
    """One that had arrived before its turn, when the old one was lost."""
    schedule, found = adaptive(3), []
    for early in (False, True):
        pipeline = opened(few_digits, pp.Pepita(), [range(3)], schedule)
        coordinator = Coordinator(pipeline, schedule, pp.Pepita().passes, batch_size=1)
        if early:
            coordinator._early.append(Message("standard", 0, torch.zeros(1, 10)))
        coordinator.go_on(pipeline, 0)
        coordinator.train(Seldom(few_digits, pipeline), 0.05)
        found.append(pipeline.state().weights)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_every_epoch_has_an_order_of_its_own():
    orders = [shuffled(50, seed, epoch).tolist() for seed in (0, 1) for epoch in (1, 2)]
    assert all(sorted(order) == [*range(50)] for order in orders)
    assert len({*map(tuple, orders)}) == 4
    assert shuffled(50, 1, 2).tolist() == orders[-1]
