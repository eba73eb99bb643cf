"""The commands by name, their help, and what a shell completes."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import commandline
import pytest

import pipepita as pp
from pipepita.cli.commands import COMMANDS, function
from pipepita.data.sets import SETS
from pipepita.engines.registry import ENGINES
from pipepita.runs.options.job import Job


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return commandline.run(*words, cwd=Path.cwd(), **environment)


def completed(line: str) -> list[str]:
    """What bash is offered to complete the last word of `line`."""
    words = line.split(" ")
    done = run(COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1), _PIPEPITA_COMPLETE="complete_bash")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


def test_the_page_shows_every_command():
    page = (Path(pp.__file__).parent / "cli" / "README.md").read_text()
    shown = re.findall(r"pipepita ([\w-]+)", page.partition("```\n")[2].partition("```")[0])
    assert set(shown) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_begins_as_its_own_help_does(name):
    text = inspect.getdoc(function(name)) or ""
    assert text.startswith(COMMANDS[name].line.rstrip("."))


@pytest.mark.parametrize("words", [(), ("--help",)], ids=["nothing", "help"])
def test_the_list_of_commands_has_each_with_its_whole_line(words):
    done = run(*words)
    assert done.returncode == 0 and done.stderr == "" and max(map(len, done.stdout.splitlines())) <= 80
    listed = done.stdout.partition("Commands:")[2].split()
    assert listed == " ".join(f"{name} {entry.line}" for name, entry in COMMANDS.items()).split()


def test_an_unknown_command_is_one_line_with_the_nearest():
    done = run("trian")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: unknown command 'trian': did you mean 'train'? It is one of ")
    assert done.stderr.endswith(f"{', '.join(sorted(COMMANDS))}\n") and done.stderr.count("\n") == 1


def test_help_shows_no_default_where_there_is_none():
    assert "inspect" not in run("profile", "--help", COLUMNS="200").stdout  # --name must be given


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["train", "simulate", "latency"])
def test_help_has_each_option_in_a_panel(name, columns):
    done = run(name, "--help", COLUMNS=str(columns))
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    panels = [line.split("─")[1].strip() for line in lines if line.startswith("╭")]
    assert "Options" not in panels and panels[-1] == "Other"
    assert [panel for panel in panels if panels.count(panel) > 1] == []
    assert panels.index("Network and data") < panels.index("Rule") < panels.index("Emulation")
    options = [line.split()[1] for line in lines if line.startswith("│ --")]
    assert len(options) == len(set(options)) and "--help" in options
    assert not any(option.startswith("--no-") for option in options)


def test_help_of_train_begins_with_what_is_common():
    lines = run("train", "--help", COLUMNS="120").stdout.splitlines()
    options = [line.split()[1][2:].replace("-", "_") for line in lines if line.startswith("│ --")]
    assert {*options} == {*Job.model_fields, "set", "resume", "json", "help"}
    assert options[:2] == ["dataset", "network"]
    for first, later in (("epochs", "lr_decay"), ("schedule", "window"), ("engine", "threads")):
        assert options.index(first) < options.index(later)


def test_a_shell_completes_commands_options_and_names():
    assert completed("pipepita ") == [*COMMANDS]
    assert completed("pipepita sch") == ["schedule"]
    assert completed("pipepita train --sch") == ["--schedule"]
    assert completed("pipepita train --no-do") == ["--no-download"]
    assert completed("pipepita train --schedule ") == ["locked", "relaxed", "streaming", "adaptive"]
    assert completed("pipepita train --engine r") == ["ray"]
    assert completed("pipepita train --dataset cif") == ["cifar10", "cifar100"]
    assert completed("pipepita simulate --policy d") == ["drop-newest", "drop-oldest"]
    assert completed("pipepita nonsense --sch") == []


def test_what_is_completed_is_all_there_is():
    def examples(name: str) -> set[str]:
        return {*(Job.model_fields[name].examples or ())}

    assert examples("dataset") == {*SETS, "npz:", "folder:"}
    assert examples("engine") == {*ENGINES}


def test_completion_is_installed(tmp_path):
    # typer asks for the shell's name if it may not look which one called it
    chosen = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    shown = run("--show-completion", "bash", **chosen)
    assert "_PIPEPITA_COMPLETE=complete_bash" in shown.stdout
    done = run("--install-completion", "bash", **chosen)
    assert done.returncode == 0, done.stderr
    (script,) = tmp_path.glob(".bash_completions/pipepita*")
    assert script.read_text().strip() == shown.stdout.strip()
    assert str(script) in (tmp_path / ".bashrc").read_text()


def test_bash_itself_completes(tmp_path):
    """The installed function is called as bash calls it."""
    (tmp_path / "pipepita").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipepita "$@"\n')
    (tmp_path / "pipepita").chmod(0o755)
    script = 'eval "$(pipepita --show-completion bash)"; COMP_WORDS=(pipepita train --sch); COMP_CWORD=2; ' \
             '_pipepita_completion pipepita; echo "${COMPREPLY[@]}"'  # fmt: skip
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout == "--schedule\n", done.stderr


def test_the_version_is_one_line():
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pipepita {pp.__version__}\n", "")
