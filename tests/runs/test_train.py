"""`train` and `evaluate` from Python, in process."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.runs.display import Observer
from pipepita.runs.store.checkpoint import weights_sha256


def small(data: pp.Data) -> nn.Sequential:
    return pp.build("fc:64", data.item_shape, 10, dropout=0.1)


def test_an_ordinary_model_goes_in_and_comes_back_trained(digits):
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128, bias=False), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10, bias=False)
    )
    result = pp.train(model, digits, engine="local", epochs=15)
    assert result.model is model
    with torch.inference_mode():
        right = model.eval()(digits.x_test).argmax(1) == digits.y_test
    assert 100 * float(right.float().mean()) == pytest.approx(result.test_accuracy, abs=1e-3)
    assert result.test_accuracy > 93
    assert result.weights_sha256 == weights_sha256(model.state_dict())
    assert not any(parameter.is_inference() for parameter in model.parameters())
    nn.functional.cross_entropy(model(digits.x_test), digits.y_test).backward()  # and is an ordinary model still


def test_digest_is_over_little_endian_floats_in_order():
    import hashlib
    import struct

    state = {"b": torch.tensor([[1.0, 2.0], [3.0, 4.0]]).t(), "a": torch.tensor([5.0], dtype=torch.float64)}
    assert weights_sha256(state) == hashlib.sha256(struct.pack("<5f", 1, 3, 2, 4, 5)).hexdigest()


def test_normalize_puts_the_norms_into_the_callers_model(few_digits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    first = model[1]
    result = pp.train(model, few_digits, engine="local", normalize=True, epochs=1)
    assert [type(module) for module in model] == [nn.Flatten, nn.Linear, nn.ReLU, nn.RMSNorm, nn.Linear]
    assert model[1] is first
    assert result.normalize


def test_init_keep_goes_on_from_the_models_weights(few_digits):
    model = small(few_digits)
    pp.initialise(model, 0)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    pp.train(model, few_digits, engine="local", init="keep", lr=0.0, epochs=1)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in start.items())
    pp.train(model, few_digits, engine="local", seed=9, lr=0.0, epochs=1)
    assert not any(torch.equal(model.state_dict()[key], value) for key, value in start.items())


def test_summary_has_what_the_command_line_promises(few_digits):
    result = pp.train(small(few_digits), few_digits, engine="local", epochs=2, batch_size=32)
    assert list(json.loads(result.to_json())) == [
        "rule", "rule_options", "rule_text", "normalize", "dropout", "network", "dataset", "engine", "schedule",
        "window", "look_ahead", "stages", "lr", "optimizer", "seed", "run_dir", "epochs", "steps", "items",
        "test_accuracy", "train_loss", "wall_seconds",
        "items_per_second", "step_ms", "restarts", "weights_sha256",
    ]  # fmt: skip
    assert (result.steps, result.items, result.epochs) == (10, 300, 2)
    assert set(result.step_ms) == {"p50", "p95", "p99"}
    assert [line["epoch"] for line in result.history] == [1, 2]


@pytest.mark.parametrize("form", ["stash", "recompute"])
def test_a_run_folder_remembers_the_form(few_digits, tmp_path, form):
    result = pp.train(
        small(few_digits), few_digits, engine="local", rule=pp.Pepita(form=form), schedule="streaming", window=3,
        epochs=2, run_dir=tmp_path / "run",
    )  # fmt: skip
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    assert result.rule_options["form"] == written["rule_options"]["form"] == form
    evaluated = pp.evaluate(tmp_path / "run", few_digits)
    assert evaluated["test_accuracy"] == result.test_accuracy
    assert evaluated["weights_sha256"] == result.weights_sha256


def test_run_folder_and_evaluate(few_digits, tmp_path):
    folder = tmp_path / "run"
    model = small(few_digits)
    result = pp.train(model, few_digits, engine="local", epochs=3, run_dir=folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == result.history
    assert json.loads((folder / "result.json").read_text()) == result.summary
    steps = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert steps == ["step-00000003", "step-00000006", "step-00000009"]
    assert sorted(path.suffix for path in folder.rglob("*") if path.is_file()).count(".safetensors") == 9
    evaluated = pp.evaluate(folder, few_digits)
    assert evaluated["test_accuracy"] == evaluated["reported_test_accuracy"] == result.test_accuracy
    assert evaluated["test_loss"] == result.history[-1]["test_loss"]
    assert evaluated["weights_sha256"] == result.weights_sha256
    with pytest.raises(pp.UserError, match="run folder .* exists"):
        pp.train(model, few_digits, engine="local", epochs=1, run_dir=folder)
    with pytest.raises(pp.UserError, match="data 'few digits', to which no name leads: pass them from Python"):
        pp.evaluate(folder)
    others = pp.Data(few_digits.x_train, few_digits.y_train, 1 - few_digits.x_test, few_digits.y_test, 10)
    with pytest.raises(pp.UserError, match="is not what .*run was trained on: pass the same"):
        pp.evaluate(folder, others)
    (folder / "checkpoints" / steps[-1] / "weights.safetensors").write_bytes(b"\x08\x00")
    assert pp.evaluate(folder, few_digits)["checkpoint"].endswith(steps[1])
    for step in steps:
        (folder / "checkpoints" / step / "weights.safetensors").write_bytes(b"\x08\x00")
    with pytest.raises(pp.UserError, match=r"3 checkpoints .* are damaged.*weights\.safetensors is not what"):
        pp.evaluate(folder, few_digits)


def test_stopping_drains_and_keeps_a_checkpoint(few_digits, tmp_path):
    asked = iter([False] * 4 + [True] * 100)
    result = pp.train(
        small(few_digits), few_digits, engine="local", epochs=9, batch_size=16, schedule="streaming", window=3,
        stop=lambda: next(asked), run_dir=tmp_path / "run",
    )  # fmt: skip
    assert result.interrupted
    assert result.steps == 4
    assert (tmp_path / "run" / "checkpoints" / "step-00000004").is_dir()


def test_textbook_in_flight_is_warned_of(few_digits):
    rule = pp.Pepita(form="textbook")
    with pytest.warns(UserWarning, match="stability index .* above 1"):
        pp.train(small(few_digits), few_digits, engine="local", rule=rule, schedule="streaming", window=8, epochs=1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["difference", "stash", "recompute"])
def test_the_warning_is_for_the_textbook_form_only(few_digits, form):
    rule = pp.Pepita(form=form)
    pp.train(small(few_digits), few_digits, engine="local", rule=rule, schedule="streaming", window=8, epochs=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "spark"}, "unknown engine 'spark'"),
        ({"init": "xavier"}, "unknown init 'xavier'"),
        ({"stages": 3}, "3 stages for 2 layers: 1 to 2"),
        ({"window": 0}, "window 0"),
        ({"window": 2}, "window 2 needs --schedule streaming"),
        ({"epoch": 3}, "unknown option 'epoch'"),
        ({"optimizer": "adam:beta=1"}, "unknown option of optimizer adam 'beta': did you mean 'betas'"),
        ({"costs": [1.0]}, r"costs \[1.0\] are not 2 finite numbers"),
        ({"costs": [1.0, float("nan")]}, "costs"),
        ({"rule": "pepita"}, "rule is 'pepita': pass a rule"),
        ({"rule": pp.Pepita}, "pass a rule"),
        ({"engine": None}, "engine is None"),
        ({"stop": True}, "stop is True"),
        ({"run_dir": "a\0b"}, "null"),
        ({"run_dir": "a" * 300}, "run folder"),
    ],
)
def test_bad_options_touch_nothing(few_digits, tmp_path, options, words):
    model = small(few_digits)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(pp.UserError, match=words):
        pp.train(model, few_digits, **{"engine": "local", "run_dir": tmp_path / "run", "epochs": 1, **options})
    assert not (tmp_path / "run").exists()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())


def test_only_data_and_models_will_do(few_digits):
    with pytest.raises(pp.UserError, match="data is list"):
        pp.train(small(few_digits), [1, 2], engine="local")
    with pytest.raises(pp.UserError, match=r"the model is list: pipepita trains an nn\.Sequential"):
        pp.train([1], few_digits, engine="local")


def test_shared_weights_are_seen_through_train(few_digits):
    shared = nn.Linear(64, 64)
    model = nn.Sequential(nn.Flatten(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(64, 10))
    with pytest.raises(pp.UserError, match="module 3 has weights that another one has too"):
        pp.train(model, few_digits, engine="local")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "x"},
        {"model": [1]},
        {"dataset": None},
        {"rule": "x"},
        {"options": []},
        {"options": {"threads": 10**12}},
    ],
)
def test_a_damaged_run_folder_is_named(few_digits, tmp_path, change):
    pp.train(small(few_digits), few_digits, engine="local", epochs=1, run_dir=tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(pp.UserError):
        pp.evaluate(tmp_path / "run")
    path.write_text("[" * 100_000)
    with pytest.raises(pp.UserError, match="cannot be read"):
        pp.evaluate(tmp_path / "run")


def test_test_items_that_overflow_are_no_result(few_digits):
    data = pp.Data(few_digits.x_train, few_digits.y_train, few_digits.x_test * 3e38, few_digits.y_test, 10)
    with pytest.raises(pp.Diverged, match="test items"):
        pp.train(small(data), data, engine="local", epochs=1)


def test_asked_to_stop_when_all_is_done_is_not_interrupted(few_digits):
    done = []

    class Watch(Observer):
        def epoch_ends(self, line):
            done.append(line)

    result = pp.train(
        small(few_digits), few_digits, engine="local", epochs=1, observer=Watch(), stop=lambda: bool(done)
    )
    assert not result.interrupted


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_learning_rate_of_each_epoch_reaches_the_stages(few_digits, optimizer):
    """With a rate of almost nothing from the second epoch on, the first epoch's weights stay."""

    def digest(**options):
        options |= {"optimizer": optimizer, "lr": 0.01}
        return pp.train(small(few_digits), few_digits, engine="local", stages=2, **options).weights_sha256

    assert digest(epochs=2, lr_decay="1e-30@1") == digest(epochs=1)
    assert digest(epochs=2, lr_decay="0.5@1") not in (digest(epochs=1), digest(epochs=2))


def test_costs_decide_the_split(few_digits):
    model = pp.build("fc:64x3", few_digits.item_shape, 10)
    opened = []

    class Engine(pp.LocalEngine):
        def open(self, plan):
            opened.append([len(stage.layers) for stage in plan.stages])
            return super().open(plan)

    for costs in (None, [1, 1, 1, 9]):
        pp.train(model, few_digits, engine=Engine("cpu"), stages=2, costs=costs, epochs=1)
    assert opened == [[2, 2], [3, 1]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "options", "rule", "least"),
    [
        pytest.param("fc:1024", {"dropout": 0.1}, pp.Pepita(), 94.5, marks=pytest.mark.rest),
        ("fc:256", {"dropout": 0.1, "window": 16}, pp.Pepita(), 93),
        pytest.param("fc:1024", {"dropout": 0.1, "window": 16}, pp.Pepita(), 94.5, marks=pytest.mark.rest),
        pytest.param("fc:256x8", {"normal": True}, pp.Pepita(modulate="all"), 92.5, marks=pytest.mark.rest),
        pytest.param("fc:256x8", {"normal": True, "window": 9}, pp.Pepita(modulate="all"), 90, marks=pytest.mark.rest),
    ],
)
def test_mnist_in_two_epochs(mnist, network, options, rule, least):
    model = pp.build(network, mnist.item_shape, 10, **{key: options[key] for key in options if key != "window"})
    schedule = {"schedule": "streaming", "window": window} if (window := options.get("window")) else {}
    result = pp.train(model, mnist, engine="local", rule=rule, epochs=2, **schedule)
    assert result.test_accuracy >= least


@pytest.mark.parametrize("option", ["trace", "timeline"])
def test_a_recording_that_cannot_be_written_costs_no_run(few_digits, tmp_path, option):
    """The disk is full, or the folder has gone, by the time that the run has ended."""
    place = tmp_path / "there"
    place.mkdir()
    said, model = [], small(few_digits)

    class Heard(Observer):
        def warn(self, text):
            said.append(text)

        def epoch_ends(self, line):
            if place.exists():
                place.rmdir()

    suffix = {"trace": "json", "timeline": "png"}[option]
    options = {option: place / f"it.{suffix}"}
    result = pp.train(model, few_digits, engine="local", epochs=1, observer=Heard(), **options)
    assert weights_sha256(model.state_dict()) == result.weights_sha256
    assert [line for line in said if f"it.{suffix} cannot be written: No such file" in line]


def test_one_hot_labels_are_named(few_digits):
    """Floats are numbers to be predicted. Somebody who passes one-hot classes means something else."""
    y = [torch.nn.functional.one_hot(labels, 10).float() for labels in (few_digits.y_train, few_digits.y_test)]
    data = pp.Data(few_digits.x_train, y[0], few_digits.x_test, y[1])
    model = pp.build("fc:8", data.item_shape, data.classes)
    with pytest.warns(UserWarning, match=r"one-hot classes.*pass y\.argmax\(1\)") as told:
        result = pp.train(model, data, engine="local", epochs=1, lr=0.001)
    assert told[0].filename == __file__  # where the mistake is, not inside pipepita
    with pytest.raises(AttributeError, match="of the test items it has test_mae, test_rmse, test_r2"):
        print(result.test_accuracy)
