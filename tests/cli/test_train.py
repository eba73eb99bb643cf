"""`train`, `evaluate` and `schedule`: exit codes, errors of one line, one JSON object, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commandline import ended, error_of, process, run, start
from leftovers import forgotten, processes_of, shared_memory

SUMMARY = {
    *(
        "rule",
        "rule_options",
        "rule_text",
        "normalize",
        "dropout",
        "network",
        "dataset",
        "engine",
        "schedule",
        "window",
        "look_ahead",
        "stages",
    ),
    *("lr", "optimizer", "seed"),
    *("epochs", "steps", "items", "test_accuracy", "train_loss", "wall_seconds", "items_per_second", "step_ms"),
    *("restarts", "weights_sha256", "run_dir"),
}


@pytest.mark.slow
def test_train_then_evaluate(tmp_path):
    done = run("train", "--engine", "local", "--epochs", 4, "--network", "fc:64", "--json", cwd=tmp_path)
    summary = json.loads(done.stdout)
    assert set(summary) == SUMMARY
    assert done.stdout.count("\n") == 1
    assert "epoch 4/4" in done.stderr
    again = json.loads(run("evaluate", summary["run_dir"], "--json", cwd=tmp_path).stdout)
    assert again["test_accuracy"] == summary["test_accuracy"]
    assert again["weights_sha256"] == summary["weights_sha256"]
    table = run("evaluate", summary["run_dir"], cwd=tmp_path)
    assert f"{summary['test_accuracy']} %" in table.stdout
    assert summary["weights_sha256"][:30] in table.stdout


@pytest.mark.slow
def test_ray_leaves_nothing_behind_and_agrees_with_local(tmp_path, places):
    common = ("--epochs", 2, "--network", "fc:32", "--schedule", "streaming", "--window", 3, "--json")
    shared = shared_memory()
    ray = process("train", *common, "--run-dir", "ray", cwd=tmp_path, **places)
    local = run("train", *common, "--engine", "local", "--run-dir", "local", cwd=tmp_path)
    one, other = json.loads(ray.stdout), json.loads(local.stdout)
    assert (one["engine"], one["stages"], other["engine"], other["stages"]) == ("ray", 2, "local", 1)
    assert one["weights_sha256"] == other["weights_sha256"]
    assert not forgotten(shared)
    assert not processes_of(places["TMPDIR"])


def test_job_file_and_assignments(tmp_path):
    (tmp_path / "job.toml").write_text('engine = "local"\nepochs = 1\nnetwork = "fc:16"\nlr = 0.5\n')
    done = run("train", "job.toml", "--seed", 3, "--set", "lr=0.05", "--run-dir", "out", "--json", cwd=tmp_path)
    summary = json.loads(done.stdout)
    assert (summary["epochs"], summary["seed"], summary["network"]) == (1, 3, "fc:16")
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["options"]["lr"] == 0.05


def test_own_arrays_by_file(tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.random((90, 6), np.float32), np.arange(90) % 3
    x[np.arange(90), y] += 3
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    done = run(
        "train", "--dataset", "npz:own.npz", "--network", "fc:32", "--engine", "local", "--batch-size", 8, "--json",
        cwd=tmp_path,
    )  # fmt: skip
    summary = json.loads(done.stdout)
    assert summary["test_accuracy"] > 95
    again = run("evaluate", summary["run_dir"], "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["test_accuracy"] == summary["test_accuracy"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--epoch", "3"), "--epoch"),
        (("train", "--epochs", "many"), "many"),
        (("train", "--dataset", "minst"), "did you mean 'mnist'"),
        (("train", "--dataset", "mnist", "--data-dir", "."), "mnist is not in ."),
        (("train", "--dataset", "npz:no.npz"), "no.npz does not exist"),
        (("train", "--network", "fc:x"), "cannot read 'fc:x'"),
        (("train", "--network", "conv:4,9"), "conv:4,9 does not fit items of shape (1, 8, 8)"),
        (("train", "--stages", "3"), "3 stages for 2 layers: 1 to 2"),
        (("train", "--schedule", "streaming", "--window", "0"), "window '0'"),
        (("train", "--run-dir", "."), "run folder . exists"),
        (("train", "--address", "127.0.0.1:1"), "no Ray cluster answers"),
        (("train", "--rule", "pepito"), "did you mean 'pepita'"),
        (("train", "--set", "lr"), "not key=value"),
        (("train", "no.toml"), "no.toml does not exist"),
        (("evaluate", "."), "not a run folder"),
        (("schedule", "--layers", "0"), "at least one layer"),
        (("schedule", "--schedule", "lazy"), "unknown schedule 'lazy'"),
        (("nonsense",), "nonsense"),
    ],
)
def test_mistakes_get_one_line_and_code_2(tmp_path, arguments, words):
    assert words in error_of(run(*arguments, cwd=tmp_path, PIPEPITA_DATA=str(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_divergence_is_a_failure_with_code_1(tmp_path):
    line = error_of(run("train", "--engine", "local", "--lr", 1e30, "--json", "--run-dir", "out", cwd=tmp_path), 1)
    assert "diverged at step" in line
    assert "layer" in line


def interrupted(folder: Path, number: int, places: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A long run on Ray that gets the signal `number` once it trains."""
    arguments = ("--epochs", 100_000, "--network", "fc:32", "--run-dir", "out", "--json")
    child = start("train", *arguments, cwd=folder, **places)
    deadline = time.monotonic() + 200
    while not (folder / "out" / "metrics.jsonl").exists():
        assert time.monotonic() < deadline and child.poll() is None, ended(child)
        time.sleep(0.1)
    child.send_signal(number)
    return ended(child)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.rest),
        pytest.param(signal.SIGHUP, marks=pytest.mark.rest),
    ],
)
def test_interrupt_ends_cleanly_with_a_checkpoint(tmp_path, places, number):
    shared = shared_memory()
    done = interrupted(tmp_path, number, places)
    assert done.returncode == 130, done.stderr
    summary = json.loads(done.stdout)
    assert 0 < summary["steps"] < 2_300_000
    assert "Traceback" not in done.stderr
    assert "run folder out (if it is stopped: pipepita train --resume out)" in done.stderr
    assert done.stderr.splitlines()[-1] == "go on with: pipepita train --resume out"
    assert ("(unfinished)" in done.stderr) == bool(summary["steps"] % 23)
    last = sorted((tmp_path / "out" / "checkpoints").iterdir())[-1]
    assert last.name == f"step-{summary['steps']:08d}"
    again = json.loads(run("evaluate", "out", "--json", cwd=tmp_path).stdout)
    assert again["weights_sha256"] == summary["weights_sha256"]
    assert not forgotten(shared)
    assert not processes_of(places["TMPDIR"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        "bp",
        pytest.param("frsf:keep_signs=true,form=textbook", marks=pytest.mark.rest),
        pytest.param("dfa", marks=pytest.mark.rest),
        pytest.param("drtp", marks=pytest.mark.rest),
    ],
)
def test_other_rules_from_the_command_line(lent_engine, tmp_path, rule):
    """The same with actors as in one process, and evaluated again from the run folder."""
    common = (
        "train", "--rule", rule, "--network", "fc:24x2", "--activation", "tanh", "--epochs", 3, "--lr", 0.02,
        "--json",
    )  # fmt: skip
    results = []
    for engine in ("local", "ray"):
        done = run(
            *common, "--engine", engine, "--schedule", "streaming", "--trace", "t.json", "--timeline", "t.png",
            "--run-dir", engine, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    assert results[0]["rule"] == rule.partition(":")[0]
    assert results[0]["test_accuracy"] > 30
    again = run("evaluate", "ray", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["test_accuracy"] == results[1]["test_accuracy"]
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    arrows = [event for event in events if event["ph"] == "s"]
    assert {event["cat"] for event in arrows} == {
        "standard",
        *({"drtp": (), "dfa": ("broadcast",)}.get(rule, ("backward",))),
    }
    if rule in ("bp", "frsf"):  # down: from a higher row to a lower one, except the error, which the coordinator sends
        assert any(event["cat"] == "backward" and event["tid"] > 1 for event in arrows)


def test_schedule_of_a_rule(tmp_path):
    down = run("schedule", "--layers", 3, "--rule", "bp", "--samples", 2, cwd=tmp_path)
    assert "layer 3   .  .  S0 B0" in down.stdout
    assert "one sample every 6 slots" in down.stdout
    once = json.loads(run("schedule", "--layers", 4, "--rule", "drtp", "--json", cwd=tmp_path).stdout)
    assert (once["period_slots"], once["locked_period_slots"]) == (1, 4)


@pytest.mark.slow
def test_schedule_shows_the_clock_diagram(tmp_path):
    done = process("schedule", "--layers", 3, "--schedule", "relaxed", "--samples", 2, cwd=tmp_path)
    assert done.stdout.splitlines()[1:4] == [
        "layer 1   S0 .  .  M0 S1 .  .  M1 .  .",
        "layer 2   .  S0 .  .  M0 S1 .  .  M1 .",
        "layer 3   .  .  S0 .  .  M0 S1 .  .  M1",
    ]
    assert "one sample every 4 slots; locked: 6 (1.50 times" in done.stdout
    data = json.loads(run("schedule", "--layers", 4, "--schedule", "streaming", "--json", cwd=tmp_path).stdout)
    assert (data["window"], data["period_slots"], data["locked_period_slots"]) == (3, 2, 8)


@pytest.mark.slow
def test_importing_is_light():
    heavy = "('ray', 'torchvision', 'matplotlib', 'sklearn')"
    script = f"import sys, pipepita, pipepita.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
    script = "import sys, pipepita; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_help_names_the_defaults(tmp_path):
    done = run("train", "--help", cwd=tmp_path, COLUMNS="200")
    assert "learning rate (default: the rule's own; for pepita 0.1, or 0.05" in done.stdout
    assert "items per sample; a sample is one mini-batch (default: 64)" in done.stdout
