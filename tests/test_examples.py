"""The examples, run as a reader would: complete, short, and with the results that they speak of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nodes import nodes

EXAMPLES = Path(__file__).parents[1] / "scripts" / "examples"
_SECONDS = 240


def ran(folder: Path, *words: object) -> str:
    """What an example prints on stdout, run in `folder`. It must end well."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*map(str, words)], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True,
        timeout=_SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    "path",
    [path for path in EXAMPLES.glob("*.*") if path.suffix in (".py", ".sh", ".toml")],
    ids=lambda path: path.name,
)
def test_examples_are_short(path):
    assert len(path.read_text().splitlines()) <= 60


@pytest.mark.slow
def test_train_and_use(tmp_path):
    said = ran(tmp_path, sys.executable, EXAMPLES / "train_and_use.py")
    assert float(re.search(r"([\d.]+) % of the test items", said)[1]) > 90
    assert (tmp_path / "digits.pt").exists()


@pytest.mark.slow
def test_own_data_gives_the_same_twice(tmp_path):
    first, second = ran(tmp_path, sys.executable, EXAMPLES / "own_data.py").splitlines()
    assert first == second
    assert float(first.split()[0]) > 95


@pytest.mark.slow
def test_online_sensor_learns_the_drift(tmp_path):
    lines = ran(tmp_path, sys.executable, EXAMPLES / "online_sensor.py").splitlines()
    shares = [int(re.search(r": (\d+) %", line)[1]) for line in lines]
    assert len(shares) == 10
    assert shares[4] > 85  # before the drift
    assert shares[-1] > 85  # long after it


@pytest.mark.slow
def test_chain_simulated_and_then_for_real(tmp_path):
    assert ran(tmp_path, EXAMPLES / "chain.sh", "out").split()[-1] == "600"
    assert "<html" in (tmp_path / "out" / "chain.html").read_text()
    first = json.loads((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[0])
    assert {"id", "prediction"} <= first.keys()


@pytest.mark.slow
def test_a_job_on_a_cluster_and_its_metrics(tmp_path):
    with nodes(2) as cluster:
        said = ran(tmp_path, EXAMPLES / "cluster.sh", cluster.address, "run")
    accuracies = re.findall(r"[\d.]+ ?%", said)
    assert len(set(accuracies)) >= 1
    table = ran(tmp_path, sys.executable, EXAMPLES / "read_metrics.py", "run")
    assert "best: epoch" in table and "rule pepita" in table


@pytest.mark.slow
def test_the_tour(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    tour = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in tour.cells)  # no generated output is kept
    NotebookClient(tour, timeout=_SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [
        "".join(output["text"] for output in cell.get("outputs", ()) if output.get("name") == "stdout")
        for cell in tour.cells
    ]
    one_process, actors = (
        {
            line.split()[0]: line.split()[1]
            for line in text.splitlines()
            if line.startswith(("locked", "relaxed", "stream"))
        }
        for text in said
        if text.startswith(("locked", "relaxed"))
    )
    assert one_process["locked"] == one_process["relaxed"] == actors["relaxed"]
    assert one_process["streaming"] == actors["streaming"]
