"""A layer whose weights are frozen passes on what it gets, and is never updated."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pipepita as pp


def net() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 10))


def trained(model: nn.Sequential, data: pp.Data, **options) -> pp.Result:
    return pp.train(model, data, normalize=False, epochs=2, lr=0.02, batch_size=32, **options)


@pytest.mark.parametrize("rule", [pp.Pepita(modulate="input"), pp.Pepita(modulate="all"), pp.Backprop()])
@pytest.mark.parametrize("optimizer", ["sgd", "adam:weight_decay=0.1"])
def test_frozen_weights_stay_and_the_others_learn(few_digits, rule, optimizer):
    model = net()
    model[3].requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    result = trained(model, few_digits, rule=rule, optimizer=optimizer, engine="local", stages=3)
    after = model.state_dict()
    assert {key for key in before if torch.equal(before[key], after[key])} == {"3.weight", "3.bias"}
    assert not model[3].weight.requires_grad and model[1].weight.requires_grad
    assert (
        result.weights_sha256
        == trained(model, few_digits, rule=rule, optimizer=optimizer, engine="local").weights_sha256
    )


def test_actors_keep_a_layer_frozen_and_so_does_a_resumed_run(few_digits, ray_engine, tmp_path):
    model = net()
    model[1].requires_grad_(False)
    kept = model[1].weight.clone()
    result = trained(model, few_digits, engine=ray_engine, stages=3, run_dir=tmp_path / "run")
    assert torch.equal(kept, model[1].weight)
    longer = pp.resume(tmp_path / "run", few_digits, engine="local", epochs=3)
    assert torch.equal(kept, longer.model[1].weight)
    assert longer.weights_sha256 != result.weights_sha256


def test_what_cannot_be_frozen(few_digits):
    half = net()
    half[3].weight.requires_grad_(False)
    with pytest.raises(pp.UserError, match="module 3 has frozen and other weights: freeze all of them or none"):
        trained(half, few_digits, engine="local")
    with pytest.raises(pp.UserError, match="nothing to train: all of its layers are frozen"):
        trained(net().requires_grad_(False), few_digits, engine="local")
