"""Global error-vector broadcasting by its equations, and in whole runs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.network.shared import Gate, SharedLinear
from pipepita.network.vectorized import vectorized
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task

CLASSES, BATCH = 3, 5


def test_updates_are_those_of_the_paper():
    model = vectorized(pp.build("fc:8x2", (6,), CLASSES), CLASSES)
    pp.initialise(model, 2)
    layers = cut(model, (6,), CLASSES)
    learners = [pp.ErrorVectors().learner(layer, 3, CLASSES, 0) for layer in layers]
    x, error = torch.randn(BATCH, 6), torch.randn(BATCH, CLASSES)
    inputs, updates = [], []
    with torch.inference_mode():
        arriving = x
        for learner in learners:
            inputs.append(arriving)
            arriving = learner.standard(0, arriving)
        for learner in learners:
            learner.second(0, None, error)
            product = learner.product(0)
            update = [torch.empty_like(learner.layer.parameters[0])]
            learner.layer.synapse.accumulate(product.post, product.pre, update, 0.0, product.scale)
            updates.append(update[0])
    passes = [(h.view(BATCH, CLASSES, 8) != 0).any(1).float() for h in inputs[1:]]
    first = torch.einsum("bk,bm,bn->kmn", error, passes[0], x).flatten(0, 1) / BATCH
    seen = [torch.einsum("bk,bkn->bn", error, h.view(BATCH, CLASSES, 8)) for h in inputs[1:]]
    second = passes[1].t() @ seen[0] / BATCH
    third = seen[1].mean(0, keepdim=True)
    for update, expected in zip(updates, (first, second, third), strict=True):
        assert torch.allclose(update, expected, atol=1e-6)
    assert 0 < float(passes[0].mean()) < 1


@pytest.mark.parametrize("nonnegative", [True, False])
def test_weights_behind_the_first_layer_stay_nonnegative(few_digits, nonnegative):
    model = pp.build("fc:16x2", few_digits.item_shape, 10)
    result = pp.train(
        model, few_digits, rule=pp.ErrorVectors(nonnegative=nonnegative), engine="local", epochs=2, lr=0.05
    )
    assert result.model is model
    shared = [module.weight for module in model if isinstance(module, SharedLinear)]
    assert len(shared) == 2 and sum(isinstance(module, Gate) for module in model) == 2
    assert all(bool((weight >= 0).all()) for weight in shared) == nonnegative


def test_frozen_weights_stay_even_if_they_are_negative(few_digits):
    model = vectorized(pp.build("fc:16x2", few_digits.item_shape, 10), 10)
    shared = next(module for module in model if isinstance(module, SharedLinear)).requires_grad_(False)
    before = shared.weight.clone()
    pp.train(model, few_digits, rule=pp.ErrorVectors(), engine="local", epochs=1)
    assert (before < 0).any() and torch.equal(shared.weight, before)


def test_more_memory_is_announced(few_digits):
    with pytest.warns(UserWarning, match="10 times the memory .*: 170 numbers per item"):
        pp.train(pp.build("fc:16", (1, 8, 8), 10), few_digits, rule=pp.ErrorVectors(), engine="local", epochs=1)


def test_an_ordinary_network_is_refused_where_none_can_take_its_place(few_digits):
    layers = cut(pp.build("fc:16", (1, 8, 8), 10), (1, 8, 8), 10)
    with pytest.raises(pp.UserError, match="gevb: module 1 is of an ordinary network"):
        stages(Task(layers, 10, pp.ErrorVectors()), [range(2)])[0].build()
    with pytest.raises(pp.UserError, match="init keep: rule gevb trains another network"):
        pp.train(pp.build("fc:16", (1, 8, 8), 10), few_digits, rule=pp.ErrorVectors(), engine="local", init="keep")


def test_a_vectorised_network_can_be_trained_by_other_rules(few_digits):
    model = vectorized(pp.build("fc:32", few_digits.item_shape, 10), 10)
    pp.train(model, few_digits, rule=pp.Backprop(), engine="local", epochs=3, lr=0.05, batch_size=16)
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(few_digits.x_train), few_digits.y_train)
    assert loss < 1.5


def test_a_run_goes_on_where_it_was(few_digits, tmp_path):
    def run(folder, **options):
        model = pp.build("fc:16", few_digits.item_shape, 10)
        return pp.train(
            model, few_digits, rule=pp.ErrorVectors(), engine="local", epochs=2, run_dir=folder, **options
        )  # fmt: skip

    whole = run(tmp_path / "whole")
    seen = []
    run(tmp_path / "cut", stop=lambda: len(seen) > 4 or bool(seen.append(0)))
    resumed = pp.resume(tmp_path / "cut", data=few_digits, engine="local")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert pp.evaluate(tmp_path / "cut", data=few_digits)["test_accuracy"] == whole.test_accuracy
