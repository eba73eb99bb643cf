from __future__ import annotations

import dataclasses
import json
import shlex

import pytest
import torch
import typer

import pipepita as pp
from pipepita.experiments import tries
from pipepita.experiments.cell import Cell, Items, Outcome, read, run
from pipepita.runs.options.reading import read_job

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


@pytest.mark.parametrize(
    "change", [{}, {"normalize": True}, {"network": "(conv:4,3,1,1/norm:batch)x2", "dropout": 0.0}]
)
def test_the_command_trains_the_same(change):
    """As a shell and the command line read it."""
    from pipepita.cli import app

    cell = dataclasses.replace(CELL, options=OPTIONS | change)
    program, *words = shlex.split(cell.command)
    assert (program, words[0]) == ("pipepita", "train")
    group = typer.main.get_command(app)
    name, command, rest = group.resolve_command(typer.Context(group), words)
    given = command.make_context(name, rest).params
    want = {**cell.options, "epochs": 2, "seed": 0, "engine": "local"}
    assert read_job(None, {key: given[key] for key in want}, []) == read_job(None, want, [])


def test_what_takes_long_weighs_more():
    def weight(**options):
        return dataclasses.replace(CELL, options=OPTIONS | options, items=Items(100)).weight

    assert weight() == 200
    assert weight(network="conv:4,3") == 6 * weight()
    assert weight(rule="gevb") == 10 * weight()
    assert weight(rule="gevb", dataset="cifar100") == 100 * weight(dataset="cifar100")


def test_what_no_command_trains_has_none():
    assert dataclasses.replace(CELL, items=Items(100)).command is None


def test_a_try_is_tested_on_training_items_that_it_does_not_learn_from(digits):
    tried = tries.items(100).of(digits)
    mine, tested = ({tuple(item.tolist()) for item in part.flatten(1)} for part in (tried.x_train, tried.x_test))
    training, test = ({tuple(item.tolist()) for item in part.flatten(1)} for part in (digits.x_train, digits.x_test))
    assert len(tried.x_train) == 100 and len(tried.x_test) == round(0.1 * len(digits.x_train))
    assert mine <= training and tested <= training
    assert not mine & tested and not tested & test


def test_tries_and_results_are_told_apart():
    cells = [CELL, dataclasses.replace(CELL, items=tries.items(100)), dataclasses.replace(CELL, seed=tries.SEED)]
    tried, learnt = tries.separated([Outcome(cell, [50.0]) for cell in cells])
    assert ([one.cell for one in tried], [one.cell for one in learnt]) == ([cells[1]], [cells[0], cells[2]])
    two = [tried[0], Outcome(dataclasses.replace(cells[1], options={**OPTIONS, "lr": 0.01}), [40.0])]
    words = "Each rule had 2 tries, judged on a tenth of the training items, which they did not learn from: 0.01, "
    assert tries.note(two).startswith(words)


def test_what_is_held_out_gives_a_cell_another_name_and_nothing_else_does():
    some, held_out = (dataclasses.replace(CELL, items=Items(100, held_out=share)).key for share in (0.0, 0.1))
    assert some != held_out
    plain = Cell("bp", "fc mnist", {"dataset": "mnist", "network": "fc:1024", "rule": "bp", "lr": 0.1}, epochs=100)
    assert plain.key == "1149bab430c263ca"  # what earlier versions called it


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
