"""Weight mirroring: F follows the weights without reading them."""

from __future__ import annotations

import pytest
import torch

import pipepita as pp
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.rules.mirror import Mirror
from pipepita.schedule import relaxed


def feedbacks(rule: pp.Pepita, batches: int, few_digits):
    """(each F_l^T before, each after aligning, each layer's weights)."""
    model = spec.build("fc:40x2", few_digits.item_shape, 10)
    spec.initialise(model, 1)
    layers = cut(model, few_digits.item_shape, 10, 1)
    pipeline = pp.LocalEngine("cpu").open(Plan(stages(Task(layers, 10, rule, seed=1), [range(3)]), relaxed(), 8))
    learners = [one.learner for one in pipeline._stages[0].trainers]
    before = [value.clone() for learner in learners for value in learner.fixed().values()]
    pipeline.align(1)
    after = [value for learner in learners for value in learner.fixed().values()]
    return before, after, [layer.parameters[0] for layer in layers]


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))


@pytest.mark.parametrize(("modulate", "projecting"), [("input", [0]), ("all", [0, 1, 2])])
def test_f_turns_against_the_product_of_the_weights_and_keeps_its_norm(few_digits, modulate, projecting):
    rule = pp.Pepita(mirror=400, modulate=modulate)
    before, after, weights = feedbacks(rule, 400, few_digits)
    assert len(before) == len(projecting)
    for drawn, aligned, place in zip(before, after, projecting, strict=True):
        product = torch.linalg.multi_dot([*reversed(weights[place:])]) if place < 2 else weights[2]
        assert abs(cosine(drawn, product)) < 0.2
        assert cosine(aligned, product) < -0.9
        assert float(aligned.norm()) == pytest.approx(float(drawn.norm()), rel=1e-4)


def test_more_noise_aligns_better(few_digits):
    cosines = []
    for batches in (2, 20, 400):
        _, (after,), weights = feedbacks(pp.Pepita(mirror=batches), batches, few_digits)
        cosines.append(cosine(after, torch.linalg.multi_dot([*reversed(weights)])))
    assert cosines == sorted(cosines, reverse=True)


def test_an_estimate_follows_weights_that_change_late():
    """However many batches it has seen, a new one counts a 256th: what was before fades."""
    (layer, _) = cut(spec.build("fc:4", (6,), 3), (6,), 3)
    weight = layer.parameters[0]
    weight.copy_(torch.linspace(-1, 1, 24).view(4, 6))
    mirror = Mirror(layer, 600, seed=1)
    assert float((mirror.product(1, None) * weight).sum() / weight.square().sum()) == pytest.approx(1, abs=0.1)
    weight.neg_()
    old = (1 - 1 / 256) ** 600
    share = float((mirror.product(2, None) * weight).sum() / weight.square().sum())
    assert share == pytest.approx(1 - 2 * old, abs=0.1)


def test_training_aligns_before_each_epoch(few_digits):
    """Two runs that differ only in whether F is aligned end with different weights."""
    digests = set()
    for mirror in (0, 50):
        model = spec.build("fc:40", few_digits.item_shape, 10)
        result = pp.train(model, few_digits, rule=pp.Pepita(mirror=mirror), engine="local", epochs=2, batch_size=16)
        digests.add(result.weights_sha256)
    assert len(digests) == 2


@pytest.mark.parametrize("value", [-1, 1.5, True, 10**6])
def test_refuses_what_is_no_number_of_batches(value):
    with pytest.raises(pp.UserError, match="mirror"):
        pp.Pepita(mirror=value)


@pytest.mark.parametrize("options", [{"perturbation": "random"}, {"f_scale": 0.0}])
def test_refuses_where_there_is_nothing_to_align(options):
    with pytest.raises(pp.UserError, match="no F to align"):
        pp.Pepita(mirror=5, **options)


def test_refuses_convolutions(few_digits):
    model = spec.build("conv:4,3/fc:20", few_digits.item_shape, 10)
    with pytest.raises(pp.UserError, match="layer 1 is a convolution, and only linear layers mirror"):
        pp.train(model, few_digits, rule=pp.Pepita(mirror=5), engine="local", epochs=1)
