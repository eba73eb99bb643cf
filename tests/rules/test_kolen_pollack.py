"""Feedback that learns: its equations, its norm, and that it comes to point where the weights point."""

from __future__ import annotations

import pytest
import torch

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.task import Task


def stage(rule, network="fc:40x2", seed=1, **options):
    model = pp.build(network, (1, 8, 8), 10)
    pp.initialise(model, seed)
    layers = cut(model, (1, 8, 8), 10, seed)
    task = Task(layers, 10, rule, seed=seed, **options)
    return stages(task, task.whole)[0].build()


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


@pytest.mark.parametrize("form", ["difference", "textbook", "stash", "recompute"])
@pytest.mark.parametrize("network", ["fc:40x2", "conv:4,3/pool:2/fc:20"])
def test_pepitas_matrices_follow_the_equation_and_keep_their_norm(network, form):
    one = stage(pp.Pepita(modulate="all", feedback="learned", feedback_rate=0.5, form=form), network)
    x, target = torch.rand(16, 1, 8, 8), torch.eye(10)[torch.arange(16) % 10]
    with compute_mode(1):
        drawn = [trainer.learner.heads[0].weight.clone() for trainer in one.trainers]
        inputs = [x]
        for trainer in one.trainers:
            inputs.append(trainer.learner.evaluate(inputs[-1]))
        error = one.standard(0, x) - target
        one.begin(0.1)
        one.second(0, None, error)
        one.update(0)
        for trainer, before, arrived in zip(one.trainers, drawn, inputs, strict=False):
            learner = trainer.learner
            expected = before + 0.05 * error.t() @ arrived.flatten(1) / 16
            torch.testing.assert_close(learner.heads[0].weight, expected)
            used = learner._perturbation.feedback
            torch.testing.assert_close(used, expected * (before.norm() / expected.norm()))
            assert learner.fixed() == {}


def test_dfas_matrices_follow_the_equation():
    one = stage(pp.DirectFeedbackAlignment(feedback="learned"))
    x, target = torch.rand(16, 1, 8, 8), torch.eye(10)[torch.arange(16) % 10]
    with compute_mode(1):
        before = one.trainers[1].learner.heads[0].weight.clone()
        hidden = one.trainers[1].learner.evaluate(one.trainers[0].learner.evaluate(x))
        error = one.standard(0, x) - target
        one.begin(0.1)
        one.second(0, None, error)
        one.update(0)
        torch.testing.assert_close(one.trainers[1].learner.heads[0].weight, before - 0.1 * error.t() @ hidden / 16)
    assert list(one.trainers[2].learner.heads) == []


def test_they_turn_towards_the_weights(digits):
    """As mirroring makes F point against the product of the weights, learning does too."""
    rules = {"fixed": pp.Pepita(modulate="all"), "learned": pp.Pepita(modulate="all", feedback="learned")}
    cosines = {}
    for name, rule in rules.items():
        one = stage(rule, lr=0.05)
        with compute_mode(1):
            one.begin(0.05)
            for step in range(120):
                chosen = torch.arange(step * 12, step * 12 + 32) % len(digits.x_train)
                error = one.standard(step, digits.x_train[chosen]) - torch.eye(10)[digits.y_train[chosen]]
                one.second(step, None, error)
                one.update(step)
        last = one.trainers[-1]
        cosines[name] = cosine(last.learner._perturbation.feedback, last.layer.parameters[0])
    assert cosines["learned"] < -0.6
    assert cosines["learned"] < cosines["fixed"] - 0.3


@pytest.mark.slow
def test_learning_helps_a_deep_network(digits):
    def accuracy(rule):
        model = pp.build("fc:64x3", digits.item_shape, 10, dropout=0.1, normal=True)
        return pp.train(model, digits, engine="local", rule=rule, epochs=10, lr=0.05).test_accuracy

    fixed, learned = accuracy(pp.Pepita(modulate="all")), accuracy(pp.Pepita(modulate="all", feedback="learned"))
    assert learned > fixed + 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"feedback": "learned", "f_scale": 0}, "there is no F that could change"),
        ({"feedback": "learned", "mirror": 3}, "there is no F that could change"),
        ({"feedback": "learned", "perturbation": "random"}, "there is no F that could change"),
        ({"feedback_rate": -1.0}, "feedback_rate -1.0 is not a finite number of at least 0"),
        ({"feedback": "frozen"}, "unknown feedback 'frozen': one of auto, fixed, learned"),
    ],
)
def test_what_cannot_be(options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.Pepita(**options)


def test_what_cannot_be_in_dfa():
    with pytest.raises(pp.UserError, match="feedback_rate nan"):
        pp.DirectFeedbackAlignment(feedback_rate=float("nan"))
