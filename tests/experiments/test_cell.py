from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import pipepita as pp
from pipepita.experiments.cell import Cell, Items, read, run

OPTIONS = {"dataset": "digits", "network": "fc:32", "lr": 0.1, "rule": "pepita:modulate=input", "normalize": False}
CELL = Cell("pepita", "fc digits", OPTIONS, epochs=2, probe="alignment", keep=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    run(CELL, folder, None)
    return folder


def test_an_outcome_is_what_training_by_hand_comes_to(folder):
    found = read(CELL, folder)
    data = pp.load("digits")
    model = pp.build("fc:32", data.item_shape, 10, dropout=0.1)
    result = pp.train(model, data, rule=pp.Pepita(), engine="local", epochs=2, lr=0.1)
    assert found.about["weights_sha256"] == result.weights_sha256
    assert found.accuracies == [line["test_accuracy"] for line in result.history]
    assert found.accuracy == result.test_accuracy
    assert all(torch.equal(found.weights["after"][key], value) for key, value in model.state_dict().items())
    assert not any(torch.equal(found.weights["before"][key], value) for key, value in model.state_dict().items())
    assert len(found.probes) == 3  # before training, and after each epoch
    assert not list(folder.glob("*.partial"))


def test_the_command_trains_the_same(folder):
    words = CELL.command.split()
    assert words[:2] == ["pipepita", "train"]
    assert "--network fc:32 " in CELL.command
    assert "--no-normalize " in CELL.command
    assert "--normalize " in dataclasses.replace(CELL, options={**OPTIONS, "normalize": True}).command
    assert "--epochs 2 --seed 0 --engine local" in CELL.command
    assert dataclasses.replace(CELL, items=Items(100)).command is None


@pytest.mark.parametrize(
    "change",
    [
        {"options": {**OPTIONS, "lr": 0.2}}, {"epochs": 3}, {"seed": 1}, {"items": Items(500)},
        {"items": Items(whitened=True)}, {"probe": None},
    ],
)  # fmt: skip
def test_a_changed_cell_is_run_again(folder, change):
    assert read(dataclasses.replace(CELL, **change), folder) is None


def test_a_cell_that_needs_no_weights_is_served_by_one_that_kept_them(folder):
    plain = dataclasses.replace(CELL, keep=False)
    found = read(plain, folder)
    assert found.cell == plain
    assert found.weights == {}
    assert found.accuracies == read(CELL, folder).accuracies


def test_labels_change_nothing(folder):
    assert read(dataclasses.replace(CELL, row="another", column="place"), folder) is not None


@pytest.mark.parametrize("damage", ["{", "[]", '{"accuracies": []}', None])
def test_a_damaged_outcome_is_none(folder, tmp_path, damage):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if damage is None:
        (tmp_path / f"{CELL.key}.after.safetensors").write_bytes(b"\0" * 9)
    else:
        (tmp_path / f"{CELL.key}.json").write_text(damage)
    assert read(CELL, tmp_path) is None


def test_divergence_is_an_outcome(tmp_path):
    cell = Cell(
        "pepita", "fc digits", {**OPTIONS, "network": "fc:64x4", "lr": 30.0, "normalize": False}, epochs=2, keep=True
    )
    run(cell, tmp_path, None)
    found = read(cell, tmp_path)
    assert "diverged at step" in found.diverged
    assert found.accuracy is None
    json.dumps(found.about)


def test_fewer_items_are_the_first_of_a_shuffle(tmp_path, digits):
    some = digits.first(100, seed=0)
    assert some.x_train.shape == (100, 1, 8, 8)
    assert len(some.x_test) == len(digits.x_test)
    assert torch.equal(some.x_train[:50], digits.first(50, seed=0).x_train)
    assert len(some.y_train.unique()) == 10
