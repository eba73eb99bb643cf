"""Whether every command of every page does what the page says: `scripts/check-pages`.

--short          ask whether each exists and has these options, without running it: seconds
(by default)     run each in an empty folder, long ones shortened: half an hour
--as-written     run each as the page has it, also benchmarks and trainings of hours

A command of a page is an indented line, or one in a fence, that begins with a program's name. Words that stand for
something of the reader's own (DIR, RUN_DIR, FIRST, sensor, 10.0.0.5) are replaced by something real: see stand_ins.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.__main__ import names
from bench.common import note
from bench.page_commands import Block, Command, block_is_sound, read
from bench.pages import ROOT, pages
from bench.stand_ins import StandIns
from pipepita.errors import PipepitaError, UserError

_FILES = re.compile(r"(?:--(?:page|timeline|plot|trace|onnx|torch-export|into)|>)[ =](\S+)")
_SECONDS = 1200.0
_STOP_SECONDS = 60.0  # after Ctrl-C

_SHORTER = {  # what comes at the end of a long command, so that it ends soon: the last value of an option counts
    "pipepita train": "--epochs 1",
    "pipepita latency": "--rounds 1 --seconds 0.1",
    "pipepita tune": "--trials 3",
    "pipepita reproduce": "--quick",
    "python -m bench": "--quick",
}
_ONLY_AS_WRITTEN = {  # what is not run otherwise, and why
    "./scripts/test": "the whole suite, which runs the short form of this",
    "python -m bench --full": "two hours",
    "python -m bench ": "runs every benchmark that the other pages name",
    "python -m bench.step --write": "changes the checkout",
    "python -m bench.reproduced signs": "changes the checkout",
    "scripts/pictures": "changes the checkout",
    "scripts/pictures rules forms": "changes the checkout",
}
_NEEDS_DATA = re.compile(r"(?<![A-Z_:])DIR|mnist|cifar|reproduce (?!memory)|bench\.(?:race|staleness|plan|guide)")
_ENDLESS = {"status --watch": 5.0, "--source mqtt:": 25.0}  # seconds until Ctrl-C ends them


def understood(line: Command) -> str | None:
    """What the command line says against a command, which is not run; None if it takes every word of it."""
    import typer

    from pipepita.cli import app

    if line.text.startswith(("N=", "ray start")):
        return None
    words = _words(line.text)
    if words[:2] == ["python", "-m"]:
        if not _exists(words[2]):
            return f"there is no module {words[2]}"
        unknown = [
            word for word in words[3:] if words[2] == "bench" and not word.startswith("-") and word not in names()
        ]
        return f"no benchmark is called {unknown[0]}" if unknown else None
    if words[0] != "pipepita":
        return None if (ROOT / words[0]).is_file() else f"there is no {words[0]}"
    try:
        group: Any = typer.main.get_command(app)
        name, command, rest = group.resolve_command(typer.Context(group), words[1:])
        command.make_context(name, rest)
    except PipepitaError as error:
        return str(error)
    except Exception as error:  # click's own
        return str(getattr(error, "format_message", error.__repr__)())
    return None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even its package
        return False


def _words(text: str) -> list[str]:
    """The words of the program's part of a line: no variables before it, no pipe, nothing redirected."""
    part = re.sub(r"^(?:[A-Z_]+=\S+ )*(?:sensor \| )?", "", text)
    return shlex.split(re.sub(r" > \S+$", "", part))


class Page:
    """Runs one page's commands in a folder of its own, in their order."""

    def __init__(self, stand_ins: StandIns, as_written: bool) -> None:
        self._stand_ins, self._as_written, self._variables = stand_ins, as_written, ""

    def run(self, one: Command | Block) -> str | None:
        """What went wrong; None if nothing did."""
        if isinstance(one, Block):
            whole = one.language == "python" and "import pipepita" in one.text
            return self._done([sys.executable, "-c", one.text], str(one)) if whole else block_is_sound(one)
        if one.text.startswith("N="):
            self._variables = f"{one.text}; "
            return None
        if one.text.startswith("ray start"):
            return self._stand_ins.ray_start(one.text)
        text = self._stand_ins.replaced(one.text)
        if not self._as_written:
            text = shortened(text)
        wrong = self._done(["bash", "-o", "pipefail", "-c", self._variables + text], text)
        if wrong is None:
            files = [*_FILES.findall(text), *re.findall(r"--out (\S+)", text)]
            empty = [file for file in files if not self._stand_ins.wrote(file)]
            wrong = f"{empty[0]} is missing or empty" if empty else None
        return wrong

    def _done(self, words: Sequence[str], text: str) -> str | None:
        child = subprocess.Popen(
            words, cwd=self._stand_ins.folder, env=self._stand_ins.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        limit = next((seconds for part, seconds in _ENDLESS.items() if part in text), None)
        try:
            said, complained = child.communicate(timeout=limit or (None if self._as_written else _SECONDS))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGINT)
            try:
                said, complained = child.communicate(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                return f"Ctrl-C did not end it within {_STOP_SECONDS:.0f} s"
            if limit is None:
                return f"took more than {_SECONDS:.0f} s"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        ended_well = child.returncode in ((0, 130, -signal.SIGINT) if limit else (0,))
        if not ended_well or "Traceback" in complained:
            last = complained.strip().splitlines()[-1:] or said.strip().splitlines()[-1:]
            return f"exit code {child.returncode}: {''.join(last)}"
        if not said and (limit or ("pipepita online" in text and ">" not in text)):
            return "it printed nothing"
        if "--json" in text.split():
            try:
                json.loads(said)
            except ValueError:
                return "--json did not print one object"
        return None


def shortened(text: str) -> str:
    """The command, with an end that makes it short if it would be long. The last value of an option counts."""
    if "--resume" in text:
        return text
    return text + next((f" {end}" for begin, end in _SHORTER.items() if begin in text and end not in text.split()), "")


def check(page: Path, data: Path | None, as_written: bool) -> tuple[int, int, int]:
    """Runs the commands of one page; returns how many went well, went wrong, and were not run."""
    things = list(read(page))
    well = wrong = left = 0
    if not things:
        return well, wrong, left
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="page-")))
        stand_ins = stack.enter_context(StandIns(folder, data, " ".join(one.text for one in things)))
        runner = Page(stand_ins, as_written)
        for one in things:
            reason = why_not(one.text, data) if not as_written else None
            began = time.monotonic()
            problem = None if reason else runner.run(one)
            well, wrong, left = well + (not (reason or problem)), wrong + bool(problem), left + bool(reason)
            took = "  not run" if reason else f"{time.monotonic() - began:7.1f} s"
            note(f"{took}  {one}"[:160])
            if reason or problem:
                note(f"{'':11}{f'WRONG: {problem}' if problem else reason}")
    return well, wrong, left


def why_not(text: str, data: Path | None) -> str | None:
    """Why a command is not run, unless everything is run as written; None if it is run."""
    for begin, reason in _ONLY_AS_WRITTEN.items():
        if text == begin.strip() or (begin.endswith(" ") and text.startswith(begin)):
            return reason
    if data is None and _NEEDS_DATA.search(text):
        return "no folder with MNIST and CIFAR-10: name it with PIPEPITA_DATA"
    return None


def short() -> list[str]:
    """What is wrong with the commands and blocks of all pages, as far as can be seen without running them."""
    found = []
    for page in pages():
        for one in read(page):
            problem = understood(one) if isinstance(one, Command) else block_is_sound(one)
            if problem:
                found.append(f"{one}: {problem}")
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/check-pages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="only these; all by default")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--short", action="store_true", help="run nothing")
    how.add_argument("--as-written", action="store_true", help="shorten nothing")
    arguments = parser.parse_args()
    if arguments.short:
        wrong = short()
        for line in wrong:
            note(line)
        return int(bool(wrong))
    for number in (signal.SIGINT, signal.SIGTERM):  # nohup ignores the first, and commands would inherit that
        signal.signal(number, signal.default_int_handler)
    chosen = [page.resolve() for page in arguments.pages] or pages()
    data = Path(os.environ["PIPEPITA_DATA"]).resolve() if "PIPEPITA_DATA" in os.environ else None
    try:
        for page in chosen:
            if page not in pages():
                raise UserError(f"{page} is not a page: README.md, or one below pipepita or bench")
        if arguments.as_written and data is None:
            raise UserError("--as-written needs MNIST and CIFAR-10: name their folder with PIPEPITA_DATA")
        counts = [check(page, data, arguments.as_written) for page in chosen]
    except PipepitaError as error:
        note(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        note("interrupted")
        return 130
    well, wrong, left = (sum(numbers) for numbers in zip(*counts, strict=True))
    note(f"{well} did what they should, {wrong} did not, {left} were not run")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
