import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import common
from bench.__main__ import main, names
from bench.schedules.measure import cases

ROOT = Path(__file__).parents[2]


def test_a_table_for_each_run_of_columns():
    rows = [{"a": 1, "b": 2.34567}, {"a": [1, 2.0], "b": None}, {"c": "x"}]
    assert common.markdown(rows) == "| a | b |\n|---|---|\n| 1 | 2.35 |\n| 1, 2 | - |\n\n| c |\n|---|\n| x |"


def test_every_benchmark_says_how_to_run_it():
    """Each folder has a README with its own command and a table, and the index names it."""
    index = (ROOT / "bench" / "README.md").read_text()
    for name in names():
        page = (ROOT / "bench" / name / "README.md").read_text()
        assert f"python -m bench.{name}" in page
        assert f"python -m bench.{name}" in index
        assert re.search(r"^\|---", page, re.MULTILINE), f"{name} has no table"
        for heading in ("**Claim.**", "**What it does not show.**"):
            assert heading in page, f"{name} lacks {heading}"


def test_cases_cover_every_depth_and_one_stage_per_layer():
    every = cases(quick=False)
    assert {layers for layers, *_ in every} == {2, 4, 8, 16, 32}
    assert all((layers, width, batch, layers) in every for layers, width, batch, _ in every)
    assert len(every) == len(set(every))


@pytest.mark.parametrize("path", sorted((ROOT / "bench").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_benchmark_leaves_it_to_the_depth_where_the_error_enters(path):
    """Or a table would be of another rule when defaults change."""
    text = path.read_text()
    assert all("modulate=" in call for call in re.findall(r"\bPepita\([^)]*\)", text))
    assert all("modulate=" in rule for rule in re.findall(r"\"rule\": \"(pepita[^\"]*)", text))


@pytest.mark.slow
@pytest.mark.rest  # it measures everything that it would for its page
def test_one_entry_for_all(tmp_path):
    """A benchmark that takes seconds, through the entry: one JSON, one Markdown file."""
    command = [sys.executable, "-m", "bench", "step", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "bench.json").read_text())["benchmarks"]["step"]["rows"]
    assert {row["net"].split()[0] for row in rows} == {"fc", "conv"}
    assert all(row["pepita / bp"] > 0 for row in rows)
    assert "| net |" in (tmp_path / "bench.md").read_text()


def test_unknown_benchmark(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "nonsense"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "no benchmark is called nonsense" in capsys.readouterr().err
