"""Standardised inputs: the figures, and that they stay with the network."""

from __future__ import annotations

import json

import pytest
import torch
from commandline import run
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.network.grow import standardized
from pipepita.network.standardize import Standardize


def test_the_figures_are_those_of_channels_or_of_features():
    images = torch.rand(50, 3, 4, 5) * torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1) + 7
    made = Standardize.of(images)
    torch.testing.assert_close(made.mean.flatten(), images.mean((0, 2, 3)))
    torch.testing.assert_close(made.std.flatten(), images.std((0, 2, 3), correction=0))
    flat = torch.rand(50, 6)
    flat[:, 2] = 0.25  # never varies
    out = Standardize.of(flat)(flat)
    torch.testing.assert_close(out.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(0, correction=0), torch.tensor([1.0, 1, 0, 1, 1, 1]), atol=1e-5, rtol=0)


def test_training_is_that_of_items_that_were_standardised_before(few_digits):
    figures = Standardize.of(few_digits.x_train)
    before = pp.Data(
        figures(few_digits.x_train), few_digits.y_train, figures(few_digits.x_test), few_digits.y_test, 10, "before"
    )
    options = {"engine": "local", "epochs": 2, "batch_size": 16}
    plain = pp.build("fc:24", few_digits.item_shape, 10)
    pp.train(plain, before, **options)
    model = pp.build("fc:24", few_digits.item_shape, 10)
    result = pp.train(model, few_digits, standardize=True, **options)
    assert next(iter(model.named_children()))[0] == "standardize"
    for key, value in plain.state_dict().items():
        assert torch.equal(value, model.state_dict()[key])
    with torch.inference_mode():
        right = (model.eval()(few_digits.x_test).argmax(1) == few_digits.y_test).float().mean()
    assert 100 * float(right) == pytest.approx(result.test_accuracy, abs=1e-3)


def test_a_run_folder_keeps_them(tmp_path):
    options = ("--engine", "local", "--network", "fc:24", "--standardize", "--json")
    done = run("train", *options, "--epochs", 2, "--run-dir", "out", cwd=tmp_path)
    told = json.loads(done.stdout)
    again = json.loads(run("evaluate", "out", "--json", cwd=tmp_path).stdout)
    assert again["test_accuracy"] == told["test_accuracy"]
    assert again["weights_sha256"] == told["weights_sha256"]
    longer = json.loads(run("train", "--resume", "out", "--epochs", 4, "--json", cwd=tmp_path).stdout)
    whole = json.loads(run("train", *options, "--epochs", 4, "--run-dir", "whole", cwd=tmp_path).stdout)
    assert longer["weights_sha256"] == whole["weights_sha256"]
    without = json.loads(run("train", "--resume", "out", "--epochs", 4, "--json", cwd=tmp_path).stdout)
    assert without["weights_sha256"] == longer["weights_sha256"]


def test_actors_have_them_too(few_digits, ray_engine):
    digests = set()
    for engine, stages in (("local", 1), (ray_engine, 2)):
        model = pp.build("conv:4,3/fc:16", few_digits.item_shape, 10)
        digests.add(
            pp.train(model, few_digits, engine=engine, stages=stages, standardize=True, epochs=1).weights_sha256
        )
    assert len(digests) == 1


def test_a_model_may_bring_its_own(few_digits):
    model = standardized(pp.build("fc:24", few_digits.item_shape, 10), few_digits.x_train + 1)
    mean = model.standardize.mean.clone()
    pp.train(model, few_digits, engine="local", epochs=1)
    assert torch.equal(model.standardize.mean, mean)
    (name, *_), layer = model.state_dict(), cut(model, few_digits.item_shape, 10)[0]
    assert name == "standardize.mean"
    assert list(layer.state) == ["standardize.mean", "standardize.std", "1.weight"]


def test_it_stands_in_front(few_digits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), Standardize((10,)), nn.Linear(10, 10))
    with pytest.raises(pp.UserError, match=r"module 3 \(Standardize\) comes after the first Linear or Conv2d"):
        cut(model, few_digits.item_shape, 10)


def test_no_items_have_no_figures():
    with pytest.raises(pp.UserError, match="there are no items"):
        Standardize.of(torch.zeros(0, 3))
