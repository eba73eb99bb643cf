"""What people see: a live line on a terminal (a real pseudo-terminal here), plain lines elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # processes of their own


def on_a_terminal(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Runs a command whose stderr is a terminal. Returns its exit code, its stdout and what the terminal showed."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                shown.append(part)
        except OSError:  # the command has closed its side
            return

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [sys.executable, "-m", "pipepita", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=theirs, text=True,
        timeout=120, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(theirs)
    reader.join(10)
    os.close(ours)
    return done.returncode, done.stdout, b"".join(shown).decode()


def test_progress_on_a_terminal(tmp_path):
    code, out, shown = on_a_terminal(
        tmp_path, "train", "--engine", "local", "--epochs", "20", "--network", "fc:256", "--json"
    )
    assert code == 0
    assert out.count("\n") == 1
    for words in ("epoch 20/20", "samples/s", "loss", "train", "test", "ETA"):
        assert words in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is shown again


@pytest.mark.rest
def test_an_error_during_the_start_leaves_the_terminal_as_it_was(tmp_path):
    code, out, shown = on_a_terminal(tmp_path, "train", "--address", "127.0.0.1:1")
    assert (code, out) == (2, "")
    assert shown.rstrip().splitlines()[-1].endswith("start one with ray start --head")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # cursor hidden as often as shown
    assert "Traceback" not in shown
