"""Commands as people run them: in this process if the start does not matter, or in processes of their own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from pipepita.cli import main


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pipepita", *map(str, arguments)]


def run(*arguments: object, cwd: Path, **environment: str) -> CompletedProcess[str]:
    """What `process` does, in this process: all but the seconds that Python and torch take to start."""
    words, out, err = list(map(str, arguments)), io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["pipepita", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return CompletedProcess(words, code, out.getvalue(), err.getvalue())


def start(*arguments: object, cwd: Path, stdin: int | None = None, **environment: str) -> subprocess.Popen[str]:
    """A command in the background, in a process of its own, which answers SIGHUP even if the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            command(*arguments), cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGHUP, before)


def process(*arguments: object, cwd: Path, **environment: str) -> CompletedProcess[str]:
    """A command in a process of its own, to its end."""
    return ended(start(*arguments, cwd=cwd, **environment))


def ended(child: subprocess.Popen[str], seconds: float = 240) -> CompletedProcess[str]:
    """What a command of `start` printed, once it has ended."""
    try:
        out, err = child.communicate(timeout=seconds)
    finally:
        child.kill()
    return CompletedProcess(child.args, child.returncode, out, err)


def error_of(done: CompletedProcess[str], code: int = 2) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.stderr.rstrip().endswith(line)
    return line


def piped(text: str, *arguments: object, cwd: Path) -> tuple[list[dict], str]:
    """The predictions of `pipepita online` with `text` on standard input, and what it said on stderr."""
    done = subprocess.run(
        command("online", *arguments), cwd=cwd, input=text, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr
