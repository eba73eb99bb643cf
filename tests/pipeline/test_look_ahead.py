"""Predicted weights: what standard passes meet, and what stays as it was."""

from __future__ import annotations

import pytest
import torch

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.look_ahead import LookAhead
from pipepita.pipeline.stage import compute_mode
from pipepita.pipeline.task import Task
from pipepita.pipeline.trainer import Trainer
from pipepita.rules.learner import Product


class Constant(pp.Learner):
    """Its update does not depend on the sample. It notes the weights of each standard pass."""

    def __init__(self, layer):
        self.layer, self.met = layer, []

    def standard(self, step, x, target=None):
        self.met.append((self.layer.looks_ahead, self.layer.parameters[0].clone()))
        return self.layer.evaluate(x)

    def second(self, step, arriving, error):
        return None

    def product(self, step):
        return Product(torch.ones(2, 3), torch.ones(2, 4), 1.0)

    def evaluate(self, x):
        return self.layer.evaluate(x)


def layer():
    model = pp.build("fc:3", (4,), 3)
    pp.initialise(model, 0)
    return cut(model, (4,), 3)[0]


@pytest.mark.parametrize("optimizer", ["sgd:momentum=0", "sgd", "adam"])
def test_the_last_step_is_repeated_once_for_each_sample_in_flight(optimizer):
    mine = layer()
    learner = Constant(mine)
    trainer = Trainer(Task([mine, mine], 3, pp.Pepita(), optimizer, 0.1, look_ahead=True), learner)
    trainer.begin(0.1)
    x = torch.rand(2, 4)
    with compute_mode(1):
        weights = [mine.parameters[0].clone()]
        for step in range(3):  # three in flight, and no update yet, so there is nothing to predict from
            trainer.standard(step, x, None)
        for step in range(2):
            trainer.update(step, "modulated")
            weights.append(mine.parameters[0].clone())
            trainer.standard(step + 3, x, None)
    assert all(torch.equal(met, weights[0]) for _, met in learner.met[:3])
    assert [ahead for ahead, _ in learner.met] == [False, True, True, True, True]
    for number in (1, 2):
        expected = weights[number] + 2 * (weights[number] - weights[number - 1])
        torch.testing.assert_close(learner.met[2 + number][1], expected)
    assert not mine.looks_ahead
    assert torch.equal(mine.parameters[0], weights[-1])


def test_nothing_is_predicted_from_what_was_forgotten():
    mine = layer()
    trainer = Trainer(Task([mine, mine], 3, pp.Pepita(), "sgd", 0.1, look_ahead=True), Constant(mine))
    trainer.begin(0.1)
    initial = trainer.state()
    initial = type(initial)(*({key: value.clone() for key, value in part.items()} for part in initial))
    with compute_mode(1):
        for step in range(2):
            trainer.standard(step, torch.rand(2, 4), None)
            trainer.update(step, "modulated")
        assert all(tensor.any() for tensor in trainer.state().optimizer.values())
        trainer.forget(initial)
        assert not any(tensor.any() for tensor in trainer.state().optimizer.values())
        with trainer.ahead.predicted(2):
            assert torch.equal(mine.parameters[0], initial.weights["0.weight"])


def test_nothing_is_predicted_without_samples_in_flight():
    mine = layer()
    learner = Constant(mine)
    trainer = Trainer(Task([mine, mine], 3, pp.Pepita(), "sgd", 0.1, look_ahead=True), learner)
    trainer.begin(0.1)
    with compute_mode(1):
        for step in range(3):
            trainer.standard(step, torch.rand(2, 4), None)
            assert torch.equal(learner.met[-1][1], mine.parameters[0])
            trainer.update(step, "modulated")


def test_it_goes_on_from_its_state():
    mine, other = layer(), layer()
    ahead, again = LookAhead(mine), LookAhead(other)
    with compute_mode(1):
        for one, looking in ((mine, ahead), (other, again)):
            if one is other:
                again.load(ahead.state())
                one.parameters[0].copy_(mine.parameters[0])
                break
            looking.before_update()
            one.parameters[0].add_(0.25)
        with ahead.predicted(2):
            expected = mine.parameters[0].clone()
        with again.predicted(2):
            assert torch.equal(other.parameters[0], expected)
        with pytest.raises(KeyError):
            again.load({})


def test_window_one_is_unchanged_and_a_larger_one_is_not(few_digits):
    def digest(**options):
        model = pp.build("fc:24x2", few_digits.item_shape, 10)
        return pp.train(model, few_digits, engine="local", epochs=2, batch_size=16, **options).weights_sha256

    assert digest(look_ahead="on") == digest(look_ahead="off")
    streaming = {"schedule": "streaming", "window": 3}
    assert digest(look_ahead="on", **streaming) != digest(look_ahead="off", **streaming)


@pytest.mark.parametrize("rule", [pp.Pepita(), pp.Pepita(form="stash"), pp.Backprop(), pp.DirectFeedbackAlignment()])
def test_a_resumed_run_looks_ahead_as_before(few_digits, tmp_path, rule):
    """In the middle of an epoch, where the last update still decides what is predicted."""
    options = {
        "rule": rule, "batch_size": 8, "schedule": "streaming", "window": 3, "snapshot_every": 5, "lr": 0.02,
        "look_ahead": "on", "engine": "local", "checkpoint_every": 0,
    }  # fmt: skip
    whole = pp.train(pp.build("fc:24x2", few_digits.item_shape, 10), few_digits, epochs=2, **options)
    seen = []

    def stop():
        seen.append(1)
        return len(seen) > 12

    model = pp.build("fc:24x2", few_digits.item_shape, 10)
    pp.train(model, few_digits, epochs=2, run_dir=tmp_path / "run", stop=stop, **options)
    again = pp.resume(tmp_path / "run", few_digits)
    assert again.weights_sha256 == whole.weights_sha256
