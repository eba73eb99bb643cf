"""Synthetic gradients: the guesses learn what the layer above sends back, by one layer only."""

from __future__ import annotations

import pytest
import torch

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.task import Task
from pipepita.schedule import relaxed
from pipepita.schedule.clock import clock


def stage(network, lr=0.1):
    model = pp.build(network, (1, 8, 8), 10)
    pp.initialise(model, 1)
    layers = cut(model, (1, 8, 8), 10, 1)
    task = Task(layers, 10, pp.SyntheticGradients(), "sgd:momentum=0", lr, 1)
    one = stages(task, task.whole)[0].build()
    one.begin(lr)
    return one


def sample(items=16):
    return torch.rand(items, 1, 8, 8), torch.eye(10)[torch.arange(items) % 10]


def test_at_first_only_the_output_layer_learns():
    """The guesses begin at zero."""
    one = stage("fc:20x2")
    before = {key: value.clone() for key, value in one.state().weights.items()}
    with compute_mode(1):
        one.standard(0, *sample())
        one.update(0, name="standard")
    after = one.state().weights
    assert [key for key in before if not torch.equal(before[key], after[key])] == ["5.weight"]


@pytest.mark.parametrize("network", ["fc:20x2", "conv:4,3/pool:2/conv:5,3"])
def test_a_guess_learns_the_gradient_of_the_layer_above(network):
    """One step on each guess is that of the squared difference from what the layer above sent back."""
    one = stage(network)
    x, target = sample()
    with compute_mode(1):
        hidden = [x]
        for trainer in one.trainers:
            hidden.append(trainer.learner.evaluate(hidden[-1]))
        weight = one.trainers[2].layer.parameters[0].clone()
        one.standard(0, x, target)
        one.second(0, None, None)
        one.update(0, name="backward")
        head = one.trainers[1].learner.heads[0]
    sent = hidden[2]
    labels = target if sent.ndim == 2 else target[:, :, None, None].expand(-1, -1, *sent.shape[2:])
    guess = torch.nn.functional.conv2d if sent.ndim == 4 else torch.nn.functional.linear
    copy = torch.zeros_like(head.weight).requires_grad_()
    padding = {"padding": 1} if sent.ndim == 4 else {}
    given = guess(torch.cat([sent, labels], 1), copy, **padding)
    wanted = ((hidden[3] - target) @ weight).view_as(given)
    ((given - wanted).square().sum() / 2 / len(x)).backward()
    torch.testing.assert_close(head.weight, -0.1 * copy.grad, rtol=1e-3, atol=1e-6)


def test_a_guess_of_images_learns_the_same_way():
    """Between two convolutions, where the guess is one too: also of the bias."""
    one = stage("conv:4,3/pool:2/conv:5,3")
    (x, target), trainer = sample(), one.trainers[0]
    wanted = torch.randn(len(x), *trainer.layer.out_shape)
    with compute_mode(1):
        sent = trainer.standard(0, x, target)
        trainer.learner.second(0, wanted, None)
        trainer.update(0, "backward")
        head = trainer.learner.heads[0]
    assert sent.ndim == 4
    copies = [torch.zeros_like(parameter).requires_grad_() for parameter in head.map.parameters]
    labels = target[:, :, None, None].expand(-1, -1, *sent.shape[2:])
    given = torch.nn.functional.conv2d(torch.cat([sent, labels], 1).clone(), *copies, padding=1)
    ((given - wanted).square().sum() / 2 / len(x)).backward()
    for learnt, copy in zip(head.map.parameters, copies, strict=True):
        torch.testing.assert_close(learnt, -0.1 * copy.grad, rtol=1e-3, atol=1e-6)


def test_guesses_come_near_the_true_gradient():
    """With the network held still, by a rate of zero for its weights, the error of the guess falls."""
    one = stage("fc:20", lr=0.1)
    x, target = sample(32)
    errors = []
    with compute_mode(1):
        for trainer in one.trainers:
            trainer.optimizers[0].lr = 0.0
        for step in range(300):
            one.standard(step, x, target)
            one.second(step, None, None)
            errors.append(float(one.trainers[0].learner._guess_products[step].post.norm()))
            one.update(step, name="standard")
            one.update(step, name="backward")
    assert errors[-1] < errors[0] / 2


def test_the_diagram_needs_no_error_at_the_output_layer():
    rule = pp.SyntheticGradients()
    assert rule.reads("backward", number=3, layers=3) == pp.Reads()
    assert clock(relaxed(), 3, 6, route=rule).period == 6


def test_what_cannot_be():
    with pytest.raises(pp.UserError, match="guess_rate -0.5 is not a finite number of at least 0"):
        pp.SyntheticGradients(guess_rate=-0.5)
