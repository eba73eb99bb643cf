"""The processes of a Ray cluster, and what becomes of a run that loses one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import command
from nodes import nodes

from bench.faults.leftovers import processes
from pipepita.engines.ray import head
from pipepita.engines.ray.head import Head
from pipepita.errors import RunError

_SILENCE = 3
_IMPATIENT = f"""
import pipepita.engines.ray.head
pipepita.engines.ray.head.SILENCE_SECONDS = {_SILENCE}
from pipepita.cli import main
main()
"""


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(head, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(head, "_EVERY_SECONDS", 0.05)


@pytest.mark.parametrize(
    ("address", "where"), [("10.0.0.1:6379", ("10.0.0.1", 6379)), ("[fd00::1]:6379", ("fd00::1", 6379))]
)
def test_an_address_is_a_host_and_a_port(address, where):
    assert head._parsed(address) == where


@pytest.mark.slow
def test_a_head_that_ends_is_lost_and_one_that_is_started_again_is_not(quick):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    watched = Head(f"127.0.0.1:{port}")
    try:
        watched.wait()
        listener.close()
        time.sleep(0.3)
        listener = socket.create_server(("127.0.0.1", port))
        time.sleep(1.5)
        assert not watched.lost
        listener.close()
        wait_for(lambda: watched.lost)
        with pytest.raises(RunError, match=f"the head of the Ray cluster, 127.0.0.1:{port}, has not answered for 1 s"):
            watched.wait()
    finally:
        listener.close()
        watched.close()


TRAIN = ["train", "--network", "fc:32", "--stages", 2, "--snapshot-every", 10, "--json", "--epochs"]
# a sample takes as long on every machine, so that the run lasts until the last kill
PACED = ["--standard-ms", 1, "--modulated-ms", 1]


@pytest.mark.slow
def test_an_embedded_cluster_that_dies_is_started_anew(tmp_path):
    """A raylet, an agent of one, and a control store together with a stage, one after the other in one run."""
    alone = subprocess.run(command(*TRAIN, 200, "--engine", "local"), cwd=tmp_path, capture_output=True, text=True)
    run, temporary = tmp_path / "run", Path(os.environ.get("TMPDIR", "/tmp")) / f"ppd{os.getpid()}"
    temporary.mkdir()
    process = subprocess.Popen(
        command(*TRAIN, 200, *PACED, "--device", "cpu", "--max-restarts", 9, "--run-dir", run),
        env=os.environ | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def status() -> dict:
        return json.loads((run / "status.json").read_text())

    def step() -> int:
        return status()["epoch"] * status()["samples"] + status()["sample"]

    def kill(*names: str) -> None:
        """Kills one process of each name, when the run has got on, and waits until it has recovered."""
        before, at = status()["restarts"], step()
        wait_for(lambda: step() > at + 20)
        ours = processes(temporary)
        for name in names:
            os.kill(next(pid for pid, words in ours.items() if name in words), signal.SIGKILL)
        wait_for(lambda: status()["restarts"] > before)

    try:
        wait_for(lambda: (run / "status.json").exists() and step() > 0)
        kill("raylet/raylet")
        kill("ray::RuntimeEnvAgent")
        kill("gcs_server", "ray::StageActor")
        out, errors = process.communicate(timeout=240)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors
    assert json.loads(out)["weights_sha256"] == json.loads(alone.stdout)["weights_sha256"]
    assert "the embedded Ray cluster died: its control store is gone" in errors and "Traceback" not in errors
    wait_for(lambda: not list(temporary.iterdir()) and not processes(temporary))
    temporary.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcs_server", pytest.param("raylet", marks=pytest.mark.rest)])
def test_a_run_that_loses_somebody_elses_ends_with_one_line(name, tmp_path):
    run = tmp_path / "run"
    with nodes(2) as cluster:
        options = ["--address", cluster.address, "--device", "cpu", "--run-dir", run]
        began = [sys.executable, "-c", _IMPATIENT, *command(*TRAIN, 400, *PACED, *options)[3:]]
        process = subprocess.Popen(began, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            status = run / "status.json"
            wait_for(lambda: status.exists() and json.loads(status.read_text())["epoch"] > 2)
            os.kill(cluster.head_node.all_processes[name][0].process.pid, signal.SIGKILL)
            out, errors = process.communicate(timeout=240)  # Ray would end it after a minute, in its words
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, out) == (1, "")
    (said,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert f"has not answered for {_SILENCE} s: it has ended or is out of reach" in said
    assert {"gcs_server": "the head of the Ray cluster", "raylet": "the raylet of this host"}[name] in said
    assert f"the last good checkpoint is {run}" in said
    assert "Traceback" not in errors
