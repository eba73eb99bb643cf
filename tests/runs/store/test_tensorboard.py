"""Curves for TensorBoard, read back with TensorBoard's own reader."""

from __future__ import annotations

import itertools

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import pipepita as pp
from pipepita.network import spec

EPOCH = {"train/loss", "train/accuracy", "test/loss", "test/accuracy", "lr", "items_per_second"}
NOW = {"train/loss_running", "samples_per_second", "stage/0/busy", "stage/0/queue", "stage/0/memory_mb"}


@pytest.fixture(autouse=True)
def _every_sample(monkeypatch):
    monkeypatch.setattr("pipepita.runs.store.status.SECONDS", 0)


def model(data):
    return spec.build("fc:16", data.item_shape, 10)


def curves(run_dir):
    """The steps and values of each curve, by its tag."""
    events = EventAccumulator(str(run_dir / "tensorboard"))
    events.Reload()
    return {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def steps_of(run_dir):
    events = EventAccumulator(str(run_dir / "tensorboard"))
    events.Reload()
    return {tag: [one.step for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_curves_of_a_run(few_digits, tmp_path):
    result = pp.train(
        model(few_digits), few_digits, engine="local", epochs=3, batch_size=32, run_dir=tmp_path / "r", tensorboard=True
    )
    by_tag = curves(tmp_path / "r")
    assert set(by_tag) == EPOCH | NOW
    assert list(by_tag["test/accuracy"]) == [5, 10, 15]
    for line in result.history:
        assert by_tag["train/loss"][line["step"]] == pytest.approx(line["train_loss"])
    assert set(by_tag["train/loss_running"]) <= set(range(1, 16))
    assert by_tag["train/loss_running"][15] == pytest.approx(result.history[-1]["train_loss"])


def test_a_resumed_run_draws_no_step_twice(few_digits, tmp_path):
    """It is stopped in the middle of an epoch with samples in flight, so it goes on from a snapshot before that."""
    options = {"engine": "local", "epochs": 3, "batch_size": 16, "schedule": "streaming", "snapshot_every": 4}
    whole = pp.train(model(few_digits), few_digits, **options, stages=2, run_dir=tmp_path / "whole", tensorboard=True)
    counted = itertools.count()
    pp.train(
        model(few_digits), few_digits, **options, stages=2, run_dir=tmp_path / "r", tensorboard=True,
        checkpoint_every=0, stop=lambda: next(counted) > 19,
    )  # fmt: skip
    assert max(steps_of(tmp_path / "r")["train/loss_running"]) > 14  # where it goes on from
    result = pp.resume(tmp_path / "r", few_digits)
    assert result.weights_sha256 == whole.weights_sha256
    drawn, undisturbed = steps_of(tmp_path / "r"), steps_of(tmp_path / "whole")
    assert set(drawn) == set(undisturbed)
    for tag, steps in drawn.items():
        assert steps == sorted(set(steps)), tag
    assert drawn["test/accuracy"] == undisturbed["test/accuracy"] == [10, 20, 30]
    assert drawn["train/loss_running"][-1] == 30


def test_it_needs_a_run_folder(few_digits):
    with pytest.raises(pp.UserError, match="tensorboard needs --run-dir"):
        pp.train(model(few_digits), few_digits, engine="local", tensorboard=True)


def test_where_it_is_missing(few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr("pipepita.runs.store.tensorboard.find_spec", lambda name: None)
    with pytest.raises(pp.UserError, match=r"tensorboard is not installed: pip install 'pipepita\[tensorboard\]'"):
        pp.train(model(few_digits), few_digits, run_dir=tmp_path / "r", tensorboard=True)
    assert not list(tmp_path.iterdir())
