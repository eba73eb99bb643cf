"""Streams that are closed or full: nothing is lost but what cannot be said, and an error is one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def shell(line: str, folder) -> subprocess.CompletedProcess[str]:
    command = line.replace("pipepita", f"{sys.executable} -m pipepita", 1)
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120)


def test_without_stderr_a_run_trains_and_stdout_has_its_result_alone(tmp_path):
    done = shell("pipepita train --engine local --epochs 1 --network fc:8 --run-dir run --json 2>&-", tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["epochs"] == 1 and (tmp_path / "run" / "result.json").is_file()


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("pipepita rules > /dev/full", 1, "error: standard output cannot be used: No space left on device\n"),
        ("pipepita online --source - --features 4 --classes 2 <&-", 2, "error: source -: standard input is closed"),
        (
            "echo 1,2,1 | pipepita online --source - --features 2 --classes 2 > /dev/full",
            1,
            "standard output: No space left",
        ),
    ],
)
def test_others_are_named(tmp_path, line, code, words):
    done = shell(line, tmp_path)
    assert done.returncode == code and words in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 3
