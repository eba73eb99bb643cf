"""Resumed runs end with the bits of a run that was not interrupted: every rule and schedule, in this process."""

from __future__ import annotations

import json
import shutil

import pytest

import pipepita as pp

OPTIONS = {"epochs": 3, "batch_size": 16, "checkpoint_every": 0, "keep_checkpoints": 100, "snapshot_every": 3}
RULES = {
    "pepita": (pp.Pepita(), "relaxed"),
    "streaming": (pp.Pepita(), "streaming"),
    "stash, all": (pp.Pepita(form="stash", modulate="all"), "streaming"),
    "mirror": (pp.Pepita(mirror=5, modulate="all"), "streaming"),
    "bp": (pp.Backprop(), "streaming"),
    "frsf, norm and signs kept": (pp.FixedSigns(same_norm=True, keep_signs=True), "streaming"),
    "brsf": (pp.RandomSigns(), "relaxed"),
    "drtp": (pp.TargetProjection(), "streaming"),
}


def model(data: pp.Data, network: str = "fc:24x2"):
    return pp.build(network, data.item_shape, 10, dropout=0.1)


def cut_off(run_dir, copy, step: int):
    """Makes `copy`, the run folder as a kill right after checkpoint `step` would have left it."""
    shutil.copytree(run_dir, copy)
    for path in (copy / "checkpoints").iterdir():
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)
    (copy / "result.json").unlink()
    return copy


@pytest.mark.parametrize(
    ("rule", "optimizer"),
    [
        *((rule, "sgd") for rule in RULES),
        *(
            pytest.param(rule, "adam", marks=[pytest.mark.slow] + [pytest.mark.rest] * (rule != "mirror"))
            for rule in RULES
        ),
    ],
)
def test_from_any_checkpoint_to_the_same_bits(few_digits, tmp_path, rule, optimizer):
    rule, schedule = RULES[rule]
    whole = pp.train(
        model(few_digits), few_digits, engine="local", rule=rule, schedule=schedule, optimizer=optimizer, lr=0.02,
        run_dir=tmp_path / "whole", **OPTIONS,
    )  # fmt: skip
    steps = sorted(int(path.name[5:]) for path in (tmp_path / "whole" / "checkpoints").iterdir())
    assert steps == [0, 3, 6, 9, 10, 13, 16, 19, 20, 23, 26, 29, 30]
    for step in (0, 3, 10, 26, 30):
        copy = cut_off(tmp_path / "whole", tmp_path / f"from-{step}", step)
        result = pp.resume(copy, few_digits)
        assert result.weights_sha256 == whole.weights_sha256
        assert (result.steps, result.items, result.epochs) == (whole.steps, whole.items, whole.epochs)
        lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
        for mine, theirs in zip(lines, whole.history, strict=True):
            assert {key: mine[key] for key in ("epoch", "train_loss", "train_accuracy", "test_loss")} == {
                key: theirs[key] for key in ("epoch", "train_loss", "train_accuracy", "test_loss")
            }


def test_snapshots_inside_an_epoch_change_nothing_with_one_sample_in_flight(few_digits):
    def bits(schedule, every):
        return pp.train(
            model(few_digits), few_digits, engine="local", schedule=schedule, epochs=2, batch_size=16,
            snapshot_every=every,
        ).weights_sha256  # fmt: skip

    assert bits("relaxed", None) == bits("relaxed", 1) == bits("locked", 4)
    assert bits("streaming", None) == bits("streaming", 10)  # an epoch has ten samples
    assert bits("streaming", None) != bits("streaming", 4)  # the pipeline drains, so fewer updates are stale


@pytest.mark.parametrize("window", [1, 3])
def test_a_stopped_run_goes_on_to_the_bits_of_one_that_was_not(few_digits, tmp_path, window):
    options = {"epochs": 3, "batch_size": 16, "schedule": "streaming", "window": window, "snapshot_every": 4}
    whole = pp.train(model(few_digits), few_digits, engine="local", **options)
    asked = iter([False] * 16 + [True] * 100)
    stopped = pp.train(
        model(few_digits), few_digits, engine="local", stop=lambda: next(asked), run_dir=tmp_path / "run", **options
    )
    assert stopped.interrupted
    here = pp.evaluate(tmp_path / "run", few_digits)
    assert here["weights_sha256"] == stopped.weights_sha256
    result = pp.resume(tmp_path / "run", few_digits)
    assert not result.interrupted
    assert result.weights_sha256 == whole.weights_sha256
    assert [line["epoch"] for line in result.history] == [1, 2, 3]


def test_stopped_before_the_first_sample_of_an_epoch_a_mirror_aligns_once(few_digits, tmp_path):
    options = {"epochs": 2, "batch_size": 16, "rule": pp.Pepita(mirror=5, modulate="all")}
    whole = pp.train(model(few_digits), few_digits, engine="local", **options)
    for samples in (0, 10):
        asked = iter([False] * samples + [False] * (samples > 0) + [True] * 100)
        run = tmp_path / str(samples)
        pp.train(model(few_digits), few_digits, engine="local", stop=lambda a=asked: next(a), run_dir=run, **options)
        assert pp.resume(run, few_digits).weights_sha256 == whole.weights_sha256


def test_more_epochs_than_were_asked_for(few_digits, tmp_path):
    longer = pp.train(model(few_digits), few_digits, engine="local", epochs=4)
    pp.train(model(few_digits), few_digits, engine="local", epochs=2, run_dir=tmp_path / "run")
    assert pp.resume(tmp_path / "run", few_digits).epochs == 2
    assert pp.resume(tmp_path / "run", few_digits, epochs=4).weights_sha256 == longer.weights_sha256


def test_weights_that_were_kept_are_in_the_first_checkpoint(few_digits, tmp_path):
    start = model(few_digits)
    options = {"engine": "local", "init": "keep", "epochs": 2, "rule": pp.UniformSigns(same_norm=True, keep_signs=True)}
    whole = pp.train(pp_copy(start), few_digits, **options)
    pp.train(pp_copy(start), few_digits, run_dir=tmp_path / "run", **options)
    copy = cut_off(tmp_path / "run", tmp_path / "copy", 0)
    assert pp.resume(copy, few_digits).weights_sha256 == whole.weights_sha256
    shutil.rmtree(copy / "checkpoints" / "step-00000000")
    for path in (copy / "checkpoints").iterdir():
        shutil.rmtree(path)
    with pytest.raises(pp.UserError, match="holds no checkpoint, and its weights were not drawn from the seed"):
        pp.resume(copy, few_digits)


def pp_copy(net):
    import copy

    return copy.deepcopy(net)


def test_killed_before_its_first_checkpoint_it_begins_again(few_digits, tmp_path):
    whole = pp.train(model(few_digits), few_digits, engine="local", epochs=2, run_dir=tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert pp.resume(tmp_path / "run", few_digits).weights_sha256 == whole.weights_sha256


def test_killed_between_a_checkpoint_and_its_line(few_digits, tmp_path):
    whole = pp.train(model(few_digits), few_digits, engine="local", epochs=3, run_dir=tmp_path / "run")
    path = tmp_path / "run" / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:2]) + '\n{"epoch": 3, "st')
    result = pp.resume(tmp_path / "run", few_digits)
    assert [line["epoch"] for line in result.history] == [1, 2, 3]
    assert [json.loads(line) for line in path.read_text().splitlines()] == whole.history


@pytest.mark.slow
def test_every_optimizer_goes_on_to_the_same_bits(few_digits, tmp_path):
    """All optimizers of torch.optim. One whose state is not saved completely would end with other bits."""
    from pipepita.pipeline.optimizers import _known

    done = []
    for name in (*sorted(_known()), "adam:fused=true", "sgd:momentum=0.9,fused=true"):
        options = {"engine": "local", "optimizer": name, "lr": 0.01, "epochs": 2}
        try:
            whole = pp.train(model(few_digits), few_digits, run_dir=tmp_path / name.replace(":", "-"), **options)
        except (pp.UserError, pp.RunError):
            continue
        copy = cut_off(tmp_path / name.replace(":", "-"), tmp_path / f"{name}-2", 3)
        result = pp.resume(copy, few_digits)
        assert result.weights_sha256 == whole.weights_sha256, name
        done.append(name)
    assert {"adam", "adamw", "rmsprop", "sgd", "adam:fused=true", "sgd:momentum=0.9,fused=true"} <= {*done}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_stopped_and_resumed_again_and_again(few_digits, tmp_path, optimizer):
    """Each time before the next snapshot, so that the work since the last one is lost. Nobody may change a snapshot."""
    options = {
        "epochs": 2, "batch_size": 16, "schedule": "streaming", "window": 3, "snapshot_every": 5, "lr": 0.02,
        "optimizer": optimizer, "engine": "local",
    }  # fmt: skip
    whole = pp.train(model(few_digits), few_digits, **options)
    asked = iter([False] * 8 + [True] * 100)
    pp.train(model(few_digits), few_digits, stop=lambda: next(asked), run_dir=tmp_path / "run", **options)
    first = sorted((tmp_path / "run" / "checkpoints").iterdir())[1]  # behind that of the first weights
    before = [path.read_bytes() for path in sorted(first.iterdir())]
    for samples in (2, 3):
        again = iter([False] * samples + [True] * 100)
        assert pp.resume(tmp_path / "run", few_digits, stop=lambda a=again: next(a)).interrupted
        assert [path.read_bytes() for path in sorted(first.iterdir())] == before
    assert pp.resume(tmp_path / "run", few_digits).weights_sha256 == whole.weights_sha256


def test_what_was_changed_holds_for_the_next_time_too(few_digits, tmp_path):
    whole = pp.train(model(few_digits), few_digits, engine="local", epochs=3, batch_size=16)
    pp.train(model(few_digits), few_digits, engine="local", epochs=2, batch_size=16, run_dir=tmp_path / "run")
    asked = iter([False] * 3 + [True] * 100)
    assert pp.resume(tmp_path / "run", few_digits, epochs=3, stop=lambda: next(asked)).interrupted
    with pytest.raises(pp.UserError, match="epochs 2: .* is in the middle of epoch 3 already"):
        pp.resume(tmp_path / "run", few_digits, epochs=2)
    assert pp.resume(tmp_path / "run", few_digits).weights_sha256 == whole.weights_sha256


def test_from_another_folder(few_digits, tmp_path, monkeypatch):
    import numpy as np

    monkeypatch.chdir(tmp_path)
    parts = ("x_train", "y_train", "x_test", "y_test")
    np.savez("d.npz", **{part: getattr(few_digits, part).numpy() for part in parts})
    (tmp_path / "traces").mkdir()
    whole = pp.train(
        model(few_digits), "npz:d.npz", engine="local", epochs=2, run_dir="run", trace=tmp_path / "traces" / "t.json"
    )
    copy = cut_off(tmp_path / "run", tmp_path / "copy", 3)
    shutil.rmtree(tmp_path / "traces")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pp.evaluate(copy)["test_accuracy"] is not None
    assert pp.resume(copy).weights_sha256 == whole.weights_sha256
