"""Nothing heavy is imported until it is used. Commands run in another process, which says what it has imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipepita.cli.commands import COMMANDS
from pipepita.rules import BUILT_IN

HEAVY = {"torch", "torchvision", "ray", "numpy", "scipy", "sklearn", "matplotlib", "river", "safetensors", "pandas"}

SCRIPT = f"""
import contextlib, io, json, sys
from pipepita.cli import main
told = []
for words in json.loads(sys.argv.pop()):
    sys.argv[1:] = words
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main()
        except SystemExit as end:
            told.append((end.code, sorted({HEAVY | {"rich"}} & sys.modules.keys()), errors.getvalue()))
print(json.dumps(told))
"""

LIGHT = [
    ("--help",),
    ("devices",),
    ("devices", "--json", "--sources"),
    ("rules",),
    ("rules", "--json"),
    *(("schedule", "--rule", rule) for rule in (*BUILT_IN, "pepita:modulate=all,form=recompute")),
    *((name, "--help") for name in COMMANDS),
    ("status", "run"),
]
MISTAKES = [("trian",), ("train", "--epoch", "3"), ("train", "--set", "epoch=3")]


def imported(*commands: tuple[str, ...], cwd: Path, code: int = 0) -> dict[tuple[str, ...], list[str]]:
    """What has been imported after each of these commands, which run in one process, one after the other."""
    arguments = [sys.executable, "-c", SCRIPT, json.dumps(commands)]
    done = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(done.stdout)
    assert [(ended, errors) for ended, _, errors in told if ended != code] == []
    return {words: modules for words, (_, modules, _) in zip(commands, told, strict=True)}


@pytest.mark.parametrize(("commands", "code"), [(LIGHT, 0), (MISTAKES, 2)], ids=["right", "mistakes"])
def test_these_commands_import_nothing_heavy(commands, code, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"network": "fc:8", "rule": "pepita"}))
    modules = imported(*commands, cwd=tmp_path, code=code)
    assert not any(HEAVY.intersection(names) for names in modules.values()), modules


def test_the_list_of_commands_does_not_even_import_rich(tmp_path):
    """It takes four times as long with it."""
    assert imported(("--help",), cwd=tmp_path) == {("--help",): []}


def test_what_is_imported_is_noticed(tmp_path, monkeypatch):
    """Otherwise the other tests here would pass even if imports were not noticed."""
    (tmp_path / "sitecustomize.py").write_text("import numpy\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert imported(("--help",), cwd=tmp_path)["--help",] == ["numpy"]
