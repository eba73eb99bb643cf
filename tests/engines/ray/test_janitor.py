"""The shell that cleans up after a process that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipepita.engines.ray import janitor
from pipepita.engines.ray.janitor import Janitor

SCRIPT = """
import os, signal, subprocess, sys
from pipepita.engines.ray.janitor import Janitor
janitor = Janitor(sys.argv[1])
wait = [sys.executable, "-c", "import time; time.sleep(600)"]
named = subprocess.Popen([*wait, sys.argv[1]], start_new_session=True)
with open(os.path.join(sys.argv[1], "log"), "w") as log:
    logging = subprocess.Popen(wait, stdout=log, start_new_session=True)
other = subprocess.Popen(wait, start_new_session=True)
print(named.pid, logging.pid, other.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def gone(pid: int) -> bool:
    """Whether the process has ended, or is a zombie that nobody waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_killed_process_leaves_neither_its_folder_nor_what_it_had_started(tmp_path):
    folder = tmp_path / "a folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    link = tmp_path / "link"  # TMPDIR may be a link, too
    link.symlink_to(tmp_path)
    with subprocess.Popen([sys.executable, "-c", SCRIPT, link / "a folder"], stdout=subprocess.PIPE, text=True) as done:
        assert done.stdout is not None
        named, logging, other = map(int, done.stdout.readline().split())
    try:
        assert done.returncode == -9
        deadline = time.monotonic() + 60
        while folder.exists() or not (gone(named) and gone(logging)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not gone(other)
    finally:
        os.kill(other, signal.SIGKILL)


def test_a_dismissed_janitor_touches_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    janitor = Janitor(str(tmp_path))
    janitor.dismiss()
    assert janitor._shell.returncode == 0
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize("said", ["", "\n", "/nowhere/at/all\n"])
def test_nobody_else_is_ended(said):
    """Not if the process died before it named a folder, and not if the folder cannot be resolved."""
    script = janitor._SCRIPT.replace("kill -9", "echo")
    done = subprocess.run(["/bin/sh", "-c", script], input=said, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
