"""Nothing heavy is imported until it is used. Each command runs in its own process, which says what it has imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipepita.cli.commands import COMMANDS
from pipepita.rules import BUILT_IN

HEAVY = {"torch", "torchvision", "ray", "numpy", "scipy", "sklearn", "matplotlib", "river", "safetensors", "pandas"}

SCRIPT = f"""
import sys
from pipepita.cli import main
try:
    main()
except SystemExit as end:
    print("imported:", *sorted({HEAVY} & sys.modules.keys()), file=sys.stderr)
    sys.exit(end.code)
"""


def imported(*arguments: str, cwd, code: int = 0) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done.stderr.splitlines()[-1].removeprefix("imported:").split()


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("devices",),
        ("devices", "--json", "--sources"),
        ("rules",),
        ("rules", "--json"),
        *(("schedule", "--rule", rule) for rule in (*BUILT_IN, "pepita:modulate=all,form=recompute")),
        *((name, "--help") for name in COMMANDS),
    ],
    ids=" ".join,
)
def test_these_commands_import_nothing_heavy(words, tmp_path):
    assert imported(*words, cwd=tmp_path) == []


def test_status_imports_nothing_heavy(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"network": "fc:8", "rule": "pepita"}))
    assert imported("status", "run", cwd=tmp_path) == []


def test_a_mistake_imports_nothing_heavy(tmp_path):
    assert imported("trian", cwd=tmp_path, code=2) == []
    assert imported("train", "--epoch", "3", cwd=tmp_path, code=2) == []
    assert imported("train", "--set", "epoch=3", cwd=tmp_path, code=2) == []


def test_what_is_used_is_imported(tmp_path):
    """Otherwise the other tests here would pass even if imports were not noticed."""
    assert "torch" in imported("evaluate", "none", cwd=tmp_path, code=2)
