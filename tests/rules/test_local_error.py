"""PEPITA with an error of each layer's own: its equations, and that nothing is locked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.task import Task
from pipepita.schedule import Flow


@pytest.mark.parametrize("network", ["fc:20x2", "conv:4,3/pool:2/fc:20"])
def test_both_passes_and_both_updates(network):
    model = pp.build(network, (1, 8, 8), 10)
    pp.initialise(model, 0)
    task = Task(cut(model, (1, 8, 8), 10), 10, pp.Pepita(error="local"), "sgd:momentum=0", 0.1)
    one = stages(task, task.whole)[0].build()
    one.begin(0.1)
    x, target = torch.rand(16, 1, 8, 8), torch.eye(10)[torch.arange(16) % 10]
    with compute_mode(1):
        first = one.trainers[0]
        weight, readout = first.layer.parameters[0].clone(), first.learner.heads[0].weight.clone()
        one.standard(0, x, target)
        one.update(0, name="standard")
        after, learnt = first.layer.parameters[0], first.learner.heads[0].weight
    inputs = x if weight.ndim == 4 else x.flatten(1)
    error = (x.flatten(1) @ readout.t()).softmax(1) - target
    torch.testing.assert_close(learnt, readout - 0.1 * error.t() @ x.flatten(1) / 16)
    modulated = inputs - (error @ readout).view_as(inputs)

    def activity(h):
        return torch.relu(torch.nn.functional.conv2d(h, weight) if weight.ndim == 4 else h @ weight.t())

    change = activity(inputs) - activity(modulated)
    if weight.ndim == 4:
        patches = torch.nn.functional.unfold(modulated, 3).transpose(1, 2)
        positions = change.flatten(2).transpose(1, 2)
        product = torch.einsum("bpo,bpi->oi", positions, patches).view_as(weight) / (16 * positions.shape[1])
    else:
        product = change.t() @ modulated / 16
    torch.testing.assert_close(after, weight - 0.1 * product, rtol=1e-4, atol=1e-6)


def test_scales_learn_up_to_the_pooling():
    """The modulated pass does not go further."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.AvgPool2d(2), nn.GroupNorm(2, 4), nn.Flatten(),
        nn.Linear(36, 10),
    )  # fmt: skip
    task = Task(cut(model, (1, 8, 8), 10), 10, pp.Pepita(error="local"), "sgd:momentum=0", 0.1)
    one = stages(task, task.whole)[0].build()
    one.begin(0.1)
    with compute_mode(1):
        one.standard(0, torch.rand(16, 1, 8, 8), torch.eye(10)[torch.arange(16) % 10])
        one.update(0, name="standard")
        state = one.state().weights
    assert state["1.bias"].any() and not torch.equal(state["1.weight"], torch.ones(4))
    assert not state["4.bias"].any() and torch.equal(state["4.weight"], torch.ones(4))


def test_nothing_is_locked():
    rule = pp.Pepita(error="local")
    assert (rule.flow, rule.passes, rule.updates, rule.rows) == (Flow.NONE, ("standard",), ("standard",), 1)
    assert rule.reads("standard", 2, 3) == pp.Reads(upstream=True, signal=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "stash"}, "form stash has no meaning with error local"),
        ({"modulate": "input"}, "modulate input has no meaning"),
        ({"mirror": 4}, "mirror 4 has no meaning"),
        ({"presynaptic": "two-step", "form": "textbook"}, "form textbook has no meaning"),
        ({"perturbation": "sign"}, "perturbation sign has no meaning"),
        ({"feedback": "learned"}, "feedback learned has no meaning"),
        ({"f_scale": 0}, "f_scale 0 has no meaning"),
    ],
)
def test_what_has_no_meaning(options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.Pepita(error="local", **options)
