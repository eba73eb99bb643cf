"""The head of a Ray cluster, and how a run ends that loses it."""

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


def wait_for(what: Callable[[], object], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(head, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(head, "_EVERY_SECONDS", 0.05)


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


@pytest.mark.slow
@pytest.mark.parametrize("also_a_stage", [pytest.param(False, marks=pytest.mark.rest), True])
def test_a_run_that_loses_it_ends_with_one_line(also_a_stage, tmp_path):
    run, temporary = tmp_path / "run", Path(os.environ.get("TMPDIR", "/tmp")) / f"ppd{os.getpid()}"
    temporary.mkdir()
    options = ["train", "--network", "fc:32", "--stages", 2, "--device", "cpu", "--snapshot-every", 10, "--json"]
    began = [sys.executable, "-c", _IMPATIENT, *command(*options, "--epochs", 4000, "--run-dir", run)[3:]]
    process = subprocess.Popen(
        began, env=os.environ | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        status = run / "status.json"
        wait_for(lambda: status.exists() and json.loads(status.read_text())["epoch"] > 2)
        (service,) = [p for p, words in processes().items() if "gcs_server" in words and str(temporary) in words]
        os.kill(service, signal.SIGKILL)
        if also_a_stage:
            os.kill(json.loads(status.read_text())["stages"][1]["pid"], signal.SIGKILL)
        out, errors = process.communicate(timeout=240)  # Ray would end it after a minute, in its words
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out) == (1, "")
    said = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert f"has not answered for {_SILENCE} s: it has ended or is out of reach" in said[0]
    assert f"the last good checkpoint is {run}" in said[0]
    assert "Traceback" not in errors
    wait_for(lambda: not list(temporary.iterdir()))
    temporary.rmdir()
    wait_for(lambda: not [words for words in processes().values() if str(temporary) in words])


def processes() -> dict[int, str]:
    """The command line of every process, by its id."""
    commands = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            commands[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return commands
