"""A coordinator gets SIGKILL: what it leaves behind is cleaned up, and `--resume` ends with the same bits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from commandline import ended, error_of, run, start
from leftovers import forgotten, processes_of, shared_memory
from loading import workers_of
from pictures import written

OPTIONS = (
    "--network", "fc:32x2", "--stages", 2, "--epochs", 12, "--schedule", "streaming", "--window", 3,
    "--snapshot-every", 5, "--checkpoint-every", 0, "--lr", 0.02, "--json",
)  # fmt: skip
SHORT = (*OPTIONS, "--engine", "local", "--epochs", 6)


def killed(folder: Path, places: dict[str, str], *arguments: object, after: int) -> None:
    """Starts a run, and sends it SIGKILL once it has written a checkpoint of at least `after` samples."""
    child = start("train", *arguments, cwd=folder, **places)
    reached(folder, child, after)
    child.send_signal(signal.SIGKILL)
    ended(child)


def reached(folder: Path, child: subprocess.Popen[str], after: int) -> None:
    """Waits until a run has written a checkpoint of at least `after` samples."""
    deadline = time.monotonic() + 200
    while not any(int(path.name[5:]) >= after for path in (folder / "out" / "checkpoints").glob("step-*")):
        assert time.monotonic() < deadline and child.poll() is None, ended(child)
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.long
def test_killed_and_resumed(lent_engine, tmp_path, places, every_case):
    shared = shared_memory()
    whole = json.loads(run("train", *OPTIONS, "--engine", "local", "--run-dir", "whole", cwd=tmp_path).stdout)
    killed(tmp_path, places, *OPTIONS, "--run-dir", "out", after=40)
    if every_case:
        killed(tmp_path, places, "--resume", "out", "--json", after=200)
    deadline = time.monotonic() + 60
    while processes_of(places["TMPDIR"]) or list(Path(places["TMPDIR"]).iterdir()):
        assert time.monotonic() < deadline, processes_of(places["TMPDIR"])
        time.sleep(0.1)
    done = run("train", "--resume", "out", "--json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert result["weights_sha256"] == whole["weights_sha256"]
    assert re.search(r"^goes on in epoch \d+, after \d+ of its samples$", done.stderr, re.MULTILINE)
    assert (result["steps"], result["epochs"], result["items"]) == (whole["steps"], 12, whole["items"])
    assert [line["event"] for line in map(json.loads, (tmp_path / "out" / "events.jsonl").open())] == ["resume"] * (
        1 + every_case
    )
    assert sorted(path.name for path in (tmp_path / "out" / "checkpoints").iterdir()) == [
        "step-00000268", "step-00000273", "step-00000276",
    ]  # fmt: skip
    assert not forgotten(shared)


@pytest.mark.slow
@pytest.mark.long
def test_a_folder_that_workers_read_killed_and_interrupted_and_resumed(few_digits, tmp_path, places, every_case):
    """Whoever reads the images, and however often: the bits of the same images in memory. No worker stays behind."""
    shared = shared_memory()
    memory = written(tmp_path / "pictures", few_digits, 150, 40)
    parts = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "memory.npz", **{part: getattr(memory, part).numpy() for part in parts})
    common = (
        *OPTIONS,
        "--engine",
        "local",
        "--augment",
        "crop:1,flip",
        "--standardize",
        "--batch-size",
        4,
        "--epochs",
        5,
    )
    whole = json.loads(run("train", "--dataset", "npz:memory.npz", *common, "--run-dir", "whole", cwd=tmp_path).stdout)
    folder = ("--dataset", "folder:pictures", "--loader-workers", 1)
    killed(tmp_path, places, *folder, *common, "--run-dir", "out", after=50)
    gone(places)
    if every_case:
        child = start("train", "--resume", "out", "--json", cwd=tmp_path, **places)
        reached(tmp_path, child, after=150)
        for process in (*workers_of(places["TMPDIR"]), child.pid):  # as a terminal does it
            os.kill(process, signal.SIGINT)
        done = ended(child)
        assert done.returncode == 130, done.stderr
        assert 50 < json.loads(done.stdout)["steps"] < whole["steps"]
        gone(places)
    assert not forgotten(shared)
    done = run("train", "--resume", "out", "--loader-workers", 0, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["weights_sha256"] == whole["weights_sha256"]


def gone(places: dict[str, str]) -> None:
    """Waits until the workers of a run are gone."""
    deadline = time.monotonic() + 20
    while workers_of(places["TMPDIR"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_resuming_what_ended_well_says_the_same_again(tmp_path):
    first = json.loads(run("train", *SHORT, "--run-dir", "out", cwd=tmp_path).stdout)
    again = json.loads(run("train", "--resume", "out", "--json", cwd=tmp_path).stdout)
    assert again["weights_sha256"] == first["weights_sha256"]
    longer = json.loads(run("train", "--resume", "out", "--epochs", 7, "--json", cwd=tmp_path).stdout)
    assert longer["epochs"] == 7


def test_a_damaged_checkpoint_is_named(tmp_path):
    first = json.loads(run("train", *SHORT, "--run-dir", "out", cwd=tmp_path).stdout)
    last = sorted((tmp_path / "out" / "checkpoints").iterdir())[-1]
    (last / "optimizer.safetensors").write_bytes(b"")
    done = run("train", "--resume", "out", "--json", cwd=tmp_path)
    assert f"warning: checkpoint out/checkpoints/{last.name} is damaged: optimizer.safetensors" in done.stderr
    assert json.loads(done.stdout)["weights_sha256"] == first["weights_sha256"]
    for path in (tmp_path / "out" / "checkpoints").iterdir():
        (path / "SHA256SUMS").unlink()
    line = error_of(run("train", "--resume", "out", "--json", cwd=tmp_path))
    assert "3 checkpoints in out/checkpoints are damaged, and no other will do" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--resume", "nowhere"), "nowhere is not a run folder: it has no run.json"),
        (("--resume", "out", "--lr", 0.5), "lr '0.5': --resume out keeps the run's own"),
        (("--resume", "out", "--set", "window=2"), "window 2: --resume out keeps the run's own"),
        (("--resume", "out", "job.toml"), "job file job.toml: --resume out keeps the run's own job"),
        (("--resume", "out", "--epochs", "x"), "epochs 'x'"),
        (("--resume", "out", "--run-dir", "other"), "run_dir 'other': --resume out keeps the run's own"),
        (("--resume", "out", "--set", "stop=1"), "stop 1: --resume out keeps the run's own"),
        (("--resume", "out", "--set", "engine=3"), "engine 3 is not a name"),
        (("--snapshot-every", 0), "snapshot_every '0'"),
        (("--max-restarts", -1), "max_restarts '-1'"),
        (("--keep-checkpoints", 0), "keep_checkpoints '0'"),
        (("--placement", ","), "placement ',' is neither pack, spread, one-per-host nor one node per stage"),
        pytest.param(
            ("--placement", "sprad"), "placement", marks=[pytest.mark.slow, pytest.mark.rest]
        ),  # asks a cluster for its nodes
    ],
)
def test_mistakes_get_one_line_and_code_2(tmp_path, arguments, words):
    if "out" in arguments:
        run("train", "--engine", "local", "--epochs", 1, "--run-dir", "out", cwd=tmp_path)
    assert words in error_of(run("train", *arguments, cwd=tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system: needs root")
def test_a_full_disk_ends_the_run_with_the_last_good_checkpoint(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        options = (*OPTIONS, "--engine", "local", "--epochs", 15, "--keep-checkpoints", 100)
        line = error_of(run("train", *options, "--run-dir", "disk/run", cwd=tmp_path), 1)
        assert "No space left on device" in line
        assert "the last good checkpoint is disk/run/checkpoints/step-" in line
        last = sorted((disk / "run" / "checkpoints").iterdir())[-1]
        assert last.name in line
        assert not list((disk / "run").rglob("*.partial"))
        subprocess.run(["mount", "-o", "remount,size=30m", disk], check=True)
        whole = json.loads(run("train", *options, "--run-dir", "whole", cwd=tmp_path).stdout)
        again = json.loads(run("train", "--resume", "disk/run", "--json", cwd=tmp_path).stdout)
        assert again["weights_sha256"] == whole["weights_sha256"]
    finally:
        subprocess.run(["umount", disk], check=True)
