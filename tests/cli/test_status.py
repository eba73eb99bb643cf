"""`pipepita status` of real runs in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commandline import command, error_of, process, run

from pipepita.cli.status import look, status
from pipepita.errors import UserError
from pipepita.runs.store.folder import RunFolder
from pipepita.runs.store.status import RunStatus


def wait(until, what: str, seconds: float = 200.0):
    deadline = time.monotonic() + seconds
    while not (answer := until()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return answer


@pytest.mark.slow
def test_a_run_watched_from_outside(tmp_path, places):
    """While it goes on, while a stage is rebuilt, and after it was killed."""
    folder, watched = tmp_path / "runs" / "one", tmp_path / "watched"
    log = (tmp_path / "log").open("w")
    training = subprocess.Popen(
        command("train", "--epochs", 100_000, "--network", "fc:32", "--run-dir", folder),
        cwd=tmp_path, stdout=log, stderr=log, env={**os.environ, **places},
    )  # fmt: skip
    try:

        def now(**wanted):
            assert training.poll() is None, (tmp_path / "log").read_text()
            facts = look(folder) if (folder / "run.json").is_file() else {}
            alive = [row["alive"] for row in facts.get("stages", [])]
            return wanted.items() <= {**facts, "alive": alive}.items() and facts

        def training_with(alive, **wanted):
            return now(alive=alive, state="training", **wanted)

        facts = wait(lambda: training_with([True] * 2), "no stages")
        assert (facts["network"], facts["rule"], facts["engine"]) == ("fc:32", "pepita", "ray")
        assert [row["layers"] for row in facts["stages"]] == [[1], [2]]
        with watched.open("w") as file:
            watching = subprocess.Popen(command("status", "--watch"), cwd=tmp_path, stdout=file)
        done = process("status", "--json", cwd=tmp_path)
        assert done.stdout.count("\n") == 1
        said = json.loads(done.stdout)
        assert set(said) == set(facts)
        assert said["state"] in ("training", "evaluating")
        wait(lambda: "training" in watched.read_text(), "nothing to watch")

        os.kill(facts["stages"][1]["pid"], signal.SIGKILL)
        wait(lambda: now(state="restarting", alive=[True, False]), "no restart")
        wait(lambda: training_with([True] * 2, restarts=1), "not back")
        line = r"epoch \d+/100000  sample \d+/23  \d+ samples/s  loss .* restarts 1  ETA \d+:\d\d  \d s ago"
        # the first sample after a restart has no speed yet
        wait(lambda: re.search(line, run("status", cwd=tmp_path, COLUMNS="120").stdout), "no such line")
        shown = run("status", cwd=tmp_path, COLUMNS="120").stdout
        assert len(re.findall(r"^ +[01] +[12]  cpu     yes ", shown, re.MULTILINE)) == 2
    finally:
        training.kill()
        training.wait()
        log.close()
    dead = f"dead: killed or crashed; go on with pipepita train --resume {Path('runs/one')}"
    assert dead in run("status", cwd=tmp_path).stdout
    assert watching.wait(30) == 0
    assert dead in watched.read_text().splitlines()[-1]
    wait(lambda: not list(Path(places["TMPDIR"]).iterdir()), "left behind")


def test_a_run_that_has_ended(tmp_path):
    train = run("train", "--engine", "local", "--network", "fc:16", "--epochs", 1, "--run-dir", "out", cwd=tmp_path)
    assert train.returncode == 0, train.stderr
    shown = run("status", "out", cwd=tmp_path).stdout
    assert "out: fc:16, digits, pepita, relaxed, local\ndone  epoch 1/1  sample 23/23" in shown
    assert "ETA" not in shown
    (tmp_path / "out" / "status.json").write_text('{"state": "done", "time": "now"}')
    assert "out/status.json does not hold a run's status: time" in error_of(run("status", "out", cwd=tmp_path))


def test_mistakes(tmp_path, monkeypatch):
    assert "name a run folder" in error_of(run("status", cwd=tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="nothing is not a run folder"):
        status(Path("nothing"))
    with pytest.raises(UserError, match="--watch and --json: give one of them"):
        status(watch=True, as_json=True)


@pytest.fixture
def living(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "r")
    folder.create({"network": "fc:\x1b[2J", "rule": "pepita"})
    yield folder
    folder.release()


def said(state: str, ago: float) -> RunStatus:
    return RunStatus(state=state, time=time.time() - ago, pid=1, epoch=1, epochs=2, sample=3, samples=4)


def test_before_the_first_status(living, capsys):
    status(living.path)
    assert capsys.readouterr().out == f"{living.path}: fc:\\x1b[2J, pepita\nstarting\n"
    living.release()
    assert look(living.path)["state"] == "dead"
    living.result({})
    assert look(living.path)["state"] == "done"


def test_no_word_for_a_while(living, capsys):
    living.show(said("training", 14.2))
    status(living.path)
    assert "training  epoch 1/2  sample 3/4  restarts 0  no word for 14 s" in capsys.readouterr().out
    living.show(said("interrupted", 14.2))
    living.release()
    status(living.path)
    assert f"interrupted; go on with pipepita train --resume {living.path}  epoch 1/2" in capsys.readouterr().out


def test_the_newest_run_is_shown(living, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    older = RunFolder(tmp_path / "runs" / "z")
    older.create({})
    older.release()
    os.utime(older.path / "run.json", (1, 1))
    status()
    assert capsys.readouterr().out.startswith("runs/r: ")
