"""Types as a user's own program sees them: the examples are right by mypy --strict, from outside the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ("train_and_use", "own_data", "online_sensor", "my_rule")
WRONG = """
import pipepita as pp

rule = pp.Pepita(form="texbook")
stopped: str = pp.train(pp.build("fc:8", (4,), 2), pp.load("digits"), rule=rule).interrupted
pp.nothing()
"""


def strict(folder: Path, *files: Path) -> str:
    """What mypy --strict says of these files, run from a folder of its own. It says nothing of the package."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", *files],
        cwd=folder, env=os.environ | {"MYPYPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.slow
def test_types_from_outside(tmp_path):
    examples = [ROOT / "scripts" / "examples" / f"{name}.py" for name in EXAMPLES]
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    said = strict(tmp_path, *examples, wrong)
    errors = [line.split(":")[:2] for line in said.splitlines() if ": error:" in line]
    assert errors == [["wrong.py", line] for line in ("4", "5", "6")], said
