"""Projections that are the product of the weights."""

from __future__ import annotations

import pytest
import torch

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.rules.product import bjorck
from pipepita.schedule import relaxed


def aligned(rule, network="fc:40x2", init="he"):
    """(each F_l^T before, each after, each layer's weights after)."""
    model = pp.build(network, (1, 8, 8), 10)
    pp.initialise(model, 1, init)
    layers = cut(model, (1, 8, 8), 10, 1)
    pipeline = pp.LocalEngine("cpu").open(
        Plan(stages(Task(layers, 10, rule, seed=1), [range(1), range(1, 3)]), relaxed(), 8)
    )
    learners = [one.learner for stage in pipeline._stages for one in stage.trainers]
    before = [next(iter(learner.fixed().values())).clone() for learner in learners]
    pipeline.align(1)
    after = [next(iter(learner.fixed().values())) for learner in learners]
    return before, after, [layer.parameters[0] for layer in layers]


def test_every_projection_is_the_negative_product_from_the_top(few_digits):
    before, after, weights = aligned(pp.Pepita(feedback="product", modulate="all"))
    for place in range(3):
        product = torch.linalg.multi_dot([*reversed(weights[place:])]) if place < 2 else weights[2]
        torch.testing.assert_close(after[place], -product * (before[place].norm() / product.norm()))


def test_a_product_of_zero_has_no_direction_and_leaves_the_projections_as_they_were_drawn():
    before, after, _ = aligned(pp.Pepita(feedback="product", modulate="all"), init="zero-output")
    for drawn, now in zip(before, after, strict=True):
        assert drawn.norm() > 0 and torch.equal(drawn, now)


def test_from_an_output_layer_that_begins_at_zero_the_layers_below_it_learn(digits):
    def digest(**options):
        model = pp.build("fc:20x2", digits.item_shape, digits.classes)
        rule = pp.Pepita(modulate="all", **options)
        return pp.train(model, digits, rule=rule, engine="local", init="zero-output", epochs=2, lr=0.05).weights_sha256

    assert digest(feedback="product") != digest(feedback="fixed", f_scale=0.0)


def test_the_weights_are_made_orthogonal_first():
    _, _, weights = aligned(pp.Pepita(feedback="product", modulate="all", orthogonal=30))
    for weight in weights:
        short = weight if weight.shape[0] <= weight.shape[1] else weight.t()
        torch.testing.assert_close(short @ short.t(), torch.eye(len(short)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6)])
def test_bjorck_approaches_the_nearest_orthogonal_matrix(shape):
    weight = torch.linalg.qr(torch.randn(9, 9))[0][: shape[0], : shape[1]] + 0.05 * torch.randn(shape)
    u, _, v = torch.linalg.svd(weight, full_matrices=False)
    if shape != (6, 6):
        torch.testing.assert_close(bjorck(weight, 60), u @ v, atol=1e-3, rtol=0)
    assert (bjorck(weight, 5) - u @ v).norm() < (weight - u @ v).norm()


def test_bjorck_scales_only_what_is_too_large():
    torch.testing.assert_close(bjorck(0.5 * torch.eye(3), 1), (1.5 * 0.5 - 0.5 * 0.5**3) * torch.eye(3))
    torch.testing.assert_close(bjorck(5 * torch.eye(3), 1), torch.eye(3))


def test_refreshing_drains_and_changes_what_is_learnt_and_resumes(few_digits, tmp_path):
    def trained(refresh, **options):
        model = pp.build("fc:24x2", few_digits.item_shape, 10, activation="tanh")
        rule = pp.Pepita(feedback="product", refresh=refresh)
        return pp.train(
            model, few_digits, engine="local", rule=rule, epochs=2, batch_size=8, schedule="streaming", window=3,
            lr=0.02, normalize=False, **options,
        )  # fmt: skip

    never, often = trained(0), trained(4)
    assert never.weights_sha256 != often.weights_sha256
    seen = []

    def stop():
        seen.append(1)
        return len(seen) > 10

    trained(4, run_dir=tmp_path / "run", stop=stop, checkpoint_every=0)
    assert pp.resume(tmp_path / "run", few_digits).weights_sha256 == often.weights_sha256


@pytest.mark.slow
def test_a_fresh_product_teaches_a_deep_tanh_network(digits):
    def accuracy(**options):
        model = pp.build("fc:64x3", digits.item_shape, 10, activation="tanh")
        rule = pp.Pepita(modulate="all", f_scale=0.05, presynaptic="standard", **options)
        return pp.train(model, digits, engine="local", rule=rule, epochs=10, lr=0.1, normalize=False).test_accuracy

    assert accuracy(feedback="product", refresh=5) > accuracy() + 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refresh": 5}, "refresh 5 needs feedback product, not auto"),
        ({"orthogonal": 5, "feedback": "learned"}, "orthogonal 5 needs feedback product, not learned"),
        ({"refresh": -1, "feedback": "product"}, "refresh -1 is not a whole number from 0"),
        ({"feedback": "product", "mirror": 3}, "there is no F that could change"),
    ],
)
def test_what_cannot_be(options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.Pepita(**options)


def test_convolutions_have_none():
    layer = cut(pp.build("conv:4,3", (1, 8, 8), 10), (1, 8, 8), 10)[0]
    with pytest.raises(pp.UserError, match="feedback product: layer 1 is a convolution"):
        pp.Pepita(feedback="product").learner(layer, 2, 10, 0)
