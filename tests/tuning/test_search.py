"""Searches on real data, through Ray Tune on an embedded cluster."""

from __future__ import annotations

import csv
import json
import signal
import time

import pytest
from commandline import ended, error_of, process, run, start
from leftovers import processes_of
from nodes import nodes

from pipepita.errors import UserError
from pipepita.tuning.search import Asked, Plan

JOB = ("--network", "fc:32", "--epochs", 3, "--batch-size", 32)


def table(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_values_that_do_not_go_together_are_a_result(tmp_path, places):
    searched = ("--search", "rule=each:bp|pepita", "--search", "rule.f_scale=0.1..0.2", "--trials", 1, "--out", "out")
    options = ("--epochs", 1, "--network", "fc:8")
    done = run("tune", *searched, *options, "--json", cwd=tmp_path, **places)
    assert done.returncode == 0, done.stderr
    ended = {row["rule"]: row["how it ended"] for row in table(tmp_path / "out")}
    assert "rule bp: unknown option 'f_scale'" in ended["bp"]
    assert "lost" not in ended["pepita"] and "unknown" not in ended["pepita"]


@pytest.mark.slow
def test_the_best_trial_becomes_a_job_with_the_same_bits(tmp_path, places):
    """Another scheduler, engine and validation share than by default; one of the rates diverges."""
    job = tmp_path / "job.toml"
    job.write_text('network = "fc:32"\nepochs = 3\nengine = "local"\nvalidation = 0.2\n[rule]\nname = "pepita"\n')
    searched = ("--search", "lr=each:0.05|0.001|1e30", "--search", "batch-size=32|64", "--trials", 1)
    done = run("tune", job, *searched, "--scheduler", "fifo", "--out", "out", "--json", cwd=tmp_path, **places)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        "tune.json", "trials", "runs", "trials.csv", "trials.md", "trials.png", "best.toml",
    }  # fmt: skip
    rows = table(folder)
    assert [row["lr"] for row in rows] == ["0.05", "0.001", "1e+30"]
    assert "not finite" in rows[2]["how it ended"] or "diverged" in rows[2]["how it ended"]
    assert rows[2]["score"] == "" and found["trials"][2]["score"] is None
    best = found["best"]
    assert best["lr"] == 0.05 and best["score"] == float(rows[0]["score"]) > 50
    again = run("train", folder / "best.toml", "--json", cwd=tmp_path, **places)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert result["weights_sha256"] == best["weights_sha256"]
    assert result["test_accuracy"] == pytest.approx(best["score"], abs=1e-3)
    whole = run("train", folder / "best.toml", "--set", "validation=0", "--json", cwd=tmp_path, **places)
    assert json.loads(whole.stdout)["items"] > result["items"]
    assert not processes_of(places["TMPDIR"])


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on(tmp_path, places):
    asked = ("tune", "--network", "fc:64", "--epochs", 40, "--trials", 4, "--scheduler", "fifo", "--jobs", 2)
    child = start(*asked, "--out", "out", cwd=tmp_path, **places)
    runs = tmp_path / "out" / "runs"
    while not [*runs.glob("*/metrics.jsonl")]:
        assert child.poll() is None, child.communicate()
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    stopped = ended(child)
    assert stopped.returncode == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr and "--resume out" in stopped.stderr
    assert not processes_of(places["TMPDIR"])
    begun = {path.relative_to(runs): path.read_text() for path in runs.glob("*/metrics.jsonl")}
    assert len(table(tmp_path / "out")) <= 4
    done = run("tune", "--resume", "out", "--json", cwd=tmp_path, **places)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["how it ended"] for row in found["trials"]] == ["done"] * 4
    assert {row["epochs"] for row in found["trials"]} == {40}
    assert all(text in (runs / name).read_text() for name, text in begun.items() if (runs / name).exists())
    undisturbed = run(*asked, "--out", "other", "--json", cwd=tmp_path, **places)
    assert json.loads(undisturbed.stdout)["trials"] == found["trials"]
    assert json.loads(undisturbed.stdout)["best"] == found["best"]


@pytest.mark.slow
def test_an_existing_cluster_and_one_that_does_not_answer(tmp_path):
    asked = ("tune", *JOB, "--search", "lr=each:0.1|0.01", "--trials", 1, "--out", "out", "--json")
    with nodes(2) as cluster:
        # Ray Tune keeps the first temporary folder of a process, and another test had one of its own
        done = process(*asked, "--address", cluster.address, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["best"]["lr"] == 0.1, done.stdout
    lost = run(*asked[:-3], "--address", "127.0.0.1:1", "--out", "no", cwd=tmp_path)
    assert "no Ray cluster answers" in error_of(lost)
    assert not (tmp_path / "no").exists()


def test_mistakes_are_found_before_anything_starts(tmp_path):
    def told(*arguments):
        return error_of(run("tune", *arguments, cwd=tmp_path))

    assert "unknown scheduler 'ahsa'" in told("--scheduler", "ahsa")
    assert "trials 0" in told("--trials", 0)
    assert "validation 0" in told("--validation", 0)
    assert "of 1442 training items 0 would be held out" in told("--validation", 0.0001)
    assert "--jobs 0" in told("--jobs", 0)
    assert "unknown option 'lrr'" in told("--search", "lrr=0..1")
    assert "is not the folder of a search" in told("--resume", tmp_path)
    assert "leave all but --jobs and --address out" in told("--resume", tmp_path, "--trials", 3)
    (tmp_path / "there").mkdir()
    assert "folder there exists" in told("--out", "there")
    assert not [*tmp_path.glob("tuned")]


def test_damaged_folders_are_named(tmp_path):
    (tmp_path / "tune.json").write_text('{"job": {}, "what": 3}')
    with pytest.raises(UserError, match="does not say what to search"):
        Asked.read(tmp_path)


def test_how_many_trials_there_are():
    asked = Asked({"network": "fc:8"}, ["lr=each:0.1|0.2|0.3", "dropout=each:0|0.1", "batch-size=8..64"], trials=2)
    assert Plan.of(asked).trials == 12
    assert Plan.of(Asked({"network": "fc:8"})).space.keys() == {"lr", "rule.f_scale"}
