"""DFA and DRTP against autograd in each single layer, with the projected signal at the layer's output."""

from __future__ import annotations

import copy

import pytest
import torch
from rules.test_backward import LR, NETWORKS, SEED, number, sample, updated  # noqa: F401 (a fixture)
from torch import nn
from torch.nn import functional as F

import pipepita as pp
from pipepita.network import spec
from pipepita.randomness import generator, uniform


def expected(model: nn.Sequential, x, y, of_target: bool) -> dict[str, torch.Tensor]:
    """The gradient of <signal, h_l> with respect to each layer's own parameters, its input being constant."""
    model = model.double()
    target = F.one_hot(y, 10).double()
    h, blocks = x.double(), []
    for module in model:
        if isinstance(module, nn.Linear | nn.Conv2d):
            blocks.append([])
        if blocks:
            blocks[-1].append(module)
        else:
            h = module(h)
    gradients = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    with torch.no_grad():
        error = model(x.double()).softmax(1) - target
    for place, block in enumerate(blocks, 1):
        out = nn.Sequential(*block)(h)
        width = out[0].numel()
        drawn = uniform((10, width), (6 / width) ** 0.5, generator(SEED, "feedback", place)).double()
        signal = error if place == len(blocks) else (-target if of_target else error) @ drawn
        loss = (out.flatten(1) * signal).sum() / len(x)
        parameters = list(block[0].parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            gradients[names[id(parameter)]] = gradient
        h = out.detach()
    return gradients


@pytest.mark.parametrize("rule", [pp.DirectFeedbackAlignment(), pp.TargetProjection()], ids=lambda rule: rule.name)
@pytest.mark.parametrize("network", NETWORKS)
def test_one_step_is_autograds(sample, network, rule):  # noqa: F811
    model = NETWORKS[network]()
    spec.initialise(model, SEED)
    wanted = expected(copy.deepcopy(model), *sample, of_target=rule.name == "drtp")
    for name, after in updated(model, rule, *sample).items():
        moved = (model.state_dict()[name].double() - after.double()) / LR
        torch.testing.assert_close(moved, wanted[name], rtol=2e-3, atol=2e-5)
        assert wanted[name].abs().max() > 1e-4


def test_target_projection_is_the_same_under_every_schedule(few_digits):
    digests = set()
    for schedule in ("locked", "relaxed", "streaming"):
        model = spec.build("fc:32x3", few_digits.item_shape, 10, dropout=0.1)
        result = pp.train(
            model, few_digits, rule=pp.TargetProjection(), engine="local", schedule=schedule, stages=3, epochs=2,
            batch_size=16, lr=0.01,
        )  # fmt: skip
        digests.add(result.weights_sha256)
    assert len(digests) == 1
