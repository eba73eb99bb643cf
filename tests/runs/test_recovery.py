"""Exactly-once learning on a real cluster: stages are killed, frozen and cut off, and the bits stay what they were."""

from __future__ import annotations

import signal
import threading

import pytest
from faults import OPTIONS, Log, kill, model

import pipepita as pp
from pipepita.engines.ray import monitor
from pipepita.engines.ray.pipeline import RayPipeline

pytestmark = [pytest.mark.slow, pytest.mark.long]
RULES = {
    "pepita": pp.Pepita(modulate="input"),
    "stash, all": pp.Pepita(form="stash", modulate="all"),
    "mirror": pp.Pepita(mirror=5, modulate="all"),
    "bp": pp.Backprop(),
    "frsf, norm and signs kept": pp.FixedSigns(same_norm=True, keep_signs=True),
    "drtp": pp.TargetProjection(),
}
PHASES = [
    "state", "load",
    *(pytest.param(name, marks=pytest.mark.rest) for name in (
        "_connect", "train", "join", "non_finite", "evaluate", "align"
    )),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "victim"),
    [
        ("pepita", 0),
        ("bp", 2),
        pytest.param("pepita", 1, marks=pytest.mark.rest),
        pytest.param("stash, all", 0, marks=pytest.mark.rest),
        *(pytest.param(rule, 1, marks=pytest.mark.rest) for rule in ("mirror", "frsf, norm and signs kept", "drtp")),
    ],
)
def test_a_killed_stage_changes_no_bit(killable_engine, few_digits, tmp_path, every_case, rule, victim):
    """Whatever the stage is doing: it is killed in the middle of an epoch, and the first stage again later."""
    kills = (13, 60) if victim == 0 or every_case else (13,)
    rule = RULES[rule]
    whole = pp.train(model(few_digits), few_digits, engine="local", rule=rule, **OPTIONS)
    log = Log(lambda sample: kill(killable_engine, victim) if sample in kills else None)
    result = pp.train(
        model(few_digits), few_digits, engine=killable_engine, rule=rule, observer=log, run_dir=tmp_path / "run",
        **OPTIONS,
    )  # fmt: skip
    assert result.weights_sha256 == whole.weights_sha256
    assert result.restarts == len(kills)
    for mine, theirs in zip(result.history, whole.history, strict=True):
        assert (mine["train_loss"], mine["train_accuracy"]) == (theirs["train_loss"], theirs["train_accuracy"])
    assert len(log.warnings) == len(kills)
    assert f"stage {victim} (layer {victim + 1}) died" in log.warnings[0]
    assert f"replaced stage {victim}, all stages are back at the last snapshot after" in log.warnings[0]
    events = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    assert len(events) == len(kills)
    assert '"cause": "stage' in events[0]


@pytest.mark.rest
def test_all_stages_at_once(killable_engine, few_digits):
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    log = Log(lambda sample: [kill(killable_engine, stage) for stage in range(3)] if sample == 22 else None)
    result = pp.train(model(few_digits), few_digits, engine=killable_engine, observer=log, **OPTIONS)
    assert (result.weights_sha256, result.restarts) == (whole.weights_sha256, 1)
    assert "replaced stage 0, 1, 2, all stages" in log.warnings[0]


def test_a_frozen_stage_is_as_good_as_dead(killable_engine, few_digits, monkeypatch):
    """A process that hangs closes no channel, but its heartbeat stops."""
    monkeypatch.setattr(monitor, "SILENCE_SECONDS", 3.0)
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    log = Log(lambda sample: kill(killable_engine, 1, signal.SIGSTOP) if sample == 22 else None)
    result = pp.train(model(few_digits), few_digits, engine=killable_engine, observer=log, **OPTIONS)
    assert result.weights_sha256 == whole.weights_sha256
    assert result.restarts == len(log.warnings) >= 1  # a loaded machine may keep another stage silent as long
    assert any("stage 1 (layer 2)" in text and "has not answered for" in text for text in log.warnings)


def test_more_faults_than_allowed_end_the_run_with_its_last_checkpoint(killable_engine, few_digits, tmp_path):
    options = {**OPTIONS, "checkpoint_every": 0, "run_dir": tmp_path / "run"}
    log = Log(lambda sample: kill(killable_engine, 2) if sample in (13, 22) else None)
    words = r"stage 2 .* died.*restarted once, as often as --max-restarts allows.*the last good checkpoint is .*-0+19"
    with pytest.raises(pp.StageDied, match=words) as died:
        pp.train(model(few_digits), few_digits, engine=killable_engine, observer=log, max_restarts=1, **options)
    assert died.value.stage == 2
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    assert pp.resume(tmp_path / "run", few_digits, engine=killable_engine).weights_sha256 == whole.weights_sha256


def test_what_would_happen_again_is_not_tried_again(killable_engine, few_digits):
    data = pp.Data(few_digits.x_train * 1e18, few_digits.y_train, few_digits.x_test, few_digits.y_test, 10)
    log = Log()
    with pytest.raises(pp.Diverged):
        pp.train(model(data), data, engine=killable_engine, observer=log, normalize=False, **{**OPTIONS, "lr": 1e18})
    assert not log.warnings


def test_a_malformed_message_costs_a_restart_and_no_bit(killable_engine, few_digits, monkeypatch):
    """The stage that gets it closes its channel, whoever sent it, and everything goes back to the snapshot."""
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    sent = []

    def garbage(pipeline):
        outlet = pipeline.samples._outlet
        sent.append(outlet._peer.send(b"x" * 72))

    log = Log()
    log._at = lambda sample: garbage(log.pipeline) if sample == 22 else None
    opened = RayPipeline.train

    def train(self, first, lr):
        log.pipeline = self
        opened(self, first, lr)

    monkeypatch.setattr(RayPipeline, "train", train)
    result = pp.train(model(few_digits), few_digits, engine=killable_engine, observer=log, **OPTIONS)
    assert sent
    assert (result.weights_sha256, result.restarts) == (whole.weights_sha256, 1)
    assert "header" in log.warnings[0]


@pytest.mark.rest
def test_a_trace_of_a_run_with_a_restart_is_of_what_came_after(killable_engine, few_digits, tmp_path):
    log = Log(lambda sample: kill(killable_engine, 1) if sample == 22 else None)
    pp.train(model(few_digits), few_digits, engine=killable_engine, observer=log, trace=tmp_path / "t.json", **OPTIONS)
    assert (tmp_path / "t.json").stat().st_size > 10_000


def test_a_stopped_run_does_not_go_on_after_a_fault(killable_engine, few_digits, monkeypatch):
    # a machine that takes long to start the new actor must not end the search for its place
    monkeypatch.setattr("pipepita.engines.ray.engine._STOP_SECONDS", 1000.0)
    asked = threading.Event()

    def stop_and_kill(sample):
        if sample == 13:
            asked.set()
            kill(killable_engine, 1)

    log = Log(stop_and_kill)
    result = pp.train(model(few_digits), few_digits, engine=killable_engine, observer=log, stop=asked.is_set, **OPTIONS)
    assert result.interrupted
    assert result.steps in (10, 13)  # the snapshot before, unless the drain was quicker than the kill


def test_what_cannot_be_opened_leaves_no_heartbeat_behind(killable_engine, few_digits, monkeypatch):
    before = threading.active_count()

    def broken(self):
        raise pp.RunError("no luck")

    monkeypatch.setattr(RayPipeline, "state", broken)
    with pytest.raises(pp.RunError, match="no luck"):
        pp.train(model(few_digits), few_digits, engine=killable_engine, **OPTIONS)
    assert threading.active_count() == before


@pytest.mark.parametrize("phase", PHASES)
def test_a_stage_may_die_in_any_phase(killable_engine, few_digits, monkeypatch, phase):
    """While the pipeline is wired, at a barrier, during a snapshot, while one is loaded, and before an evaluation."""
    rule = pp.Pepita(mirror=5, modulate="all")
    whole = pp.train(model(few_digits), few_digits, engine="local", rule=rule, **OPTIONS)
    method, calls = getattr(RayPipeline, phase), []

    def called(self, *arguments):
        calls.append(phase)
        if len(calls) == (1 if phase in ("_connect", "load") else 4):
            kill(killable_engine, 1)
        return method(self, *arguments)

    monkeypatch.setattr(RayPipeline, phase, called)
    at = (lambda sample: kill(killable_engine, 0) if sample == 13 else None) if phase == "load" else lambda sample: None
    result = pp.train(model(few_digits), few_digits, engine=killable_engine, rule=rule, observer=Log(at), **OPTIONS)
    assert result.weights_sha256 == whole.weights_sha256
    assert result.restarts == (2 if phase == "load" else 1)
