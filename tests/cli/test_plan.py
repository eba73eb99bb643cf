"""`pipepita plan`, and `--stages` of the other commands, as people use them."""

from __future__ import annotations

import json

import pytest
from commandline import error_of, process, run
from leftovers import forgotten, processes_of, shared_memory

ONE_OBJECT = (
    "plan", "--network", "fc:16x2", "--dataset", "random:20", "--batch-size", 2, "--seconds", 0.02, "--json",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.rest  # the next test sees what is printed
def test_nothing_is_left(tmp_path, places):
    shared = shared_memory()
    done = process(*ONE_OBJECT, cwd=tmp_path, **places)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert not forgotten(shared)
    assert not processes_of(places["TMPDIR"])


def test_one_object_and_no_file(lent_engine, tmp_path):
    done = run(*ONE_OBJECT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert (summary["network"], summary["layers"], summary["batch_size"]) == ("fc:16x2", 3, 2)
    assert [row["stages"] for row in summary["stages"]] == [1, 2, 3]
    assert set(summary["best"]) == {"locked", "relaxed", "streaming"}
    assert not list(tmp_path.iterdir())


def test_many_devices_next_to_their_rivals(tmp_path):
    asked = ("plan", "--network", "fc:16x3", "--dataset", "random:20", "--devices", 6, "--depths", "8,64")
    done = run(*asked, "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(row["layers"], row["devices"]) for row in found["plan"]] == [
        (layers, devices) for layers in (8, 64) for devices in (2, 4, 6)
    ]
    assert all(row[name] > 0 for row in found["plan"] for name in ("streaming", "GPipe", "1F1B", "data parallel"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "plan.csv", "plan.md", "plan.png", "plan-memory.csv", "plan-memory.md",
    }  # fmt: skip
    said = run(*asked, cwd=tmp_path, COLUMNS="80")
    assert "predicted items per second" in said.stdout and max(map(len, said.stdout.splitlines())) <= 80


def test_the_table(lent_engine, tmp_path):
    done = run(
        "plan", "--network", "fc:16", "--dataset", "random:20", "--schedule", "relaxed", "--no-normalize",
        "--rule", "bp", "--seconds", 0.02, cwd=tmp_path, COLUMNS="80",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "fc:16: 2 layers, batch 64" in said
    assert "Fastest: " in said and "--schedule relaxed" in said
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "--stages", 2), "No such option: --stages"),
        (("plan", "--schedule", "fast"), "unknown schedule 'fast'"),
        (("plan", "--network", "fc:0"), "below 1"),
        (("plan", "--dataset", "mnits"), "did you mean 'mnist'"),
        (("plan", "--rule", "pepta"), "did you mean 'pepita'"),
        (("plan", "--seconds", 0), "0.0 s: more than 0"),
        (("plan", "--out", "x"), "--out x is for --devices: give both, or neither"),
        (("plan", "--depths", "8"), "--depths 8 is for --devices"),
        (("plan", "--link", "wifi"), "--link wifi is for --devices"),
        (("plan", "--devices", 4, "--window", 3), "--window 3 means nothing with --devices: leave it out"),
        (("plan", "--devices", 4, "--seconds", 3), "--seconds 3.0 means nothing with --devices"),
        (("plan", "--devices", 1), "--devices 1: it must be from 2 to 1024"),
        (("plan", "--devices", 4, "--depths", "8,x"), "--depths 8,x: whole numbers from 1 to 1000"),
        (("plan", "--devices", 4, "--out", "/dev/null"), "--out /dev/null is no folder: name another one"),
        (("plan", "--devices", 4, "--link", "wfii"), "did you mean 'wifi'"),
        (("plan", "--devices", 4, "--network", "fc:8"), "no layer between the first and the last"),
        (("plan", "--batch-size", 0), "batch_size '0'"),
        (("plan", "--window", 0, "--dataset", "random:20"), "window '0'"),
        (("train", "--stages", 0), "stages '0': a number of at least 1, auto, or the layers of each stage like 2,1,1"),
        (("train", "--stages", "many"), "stages 'many': a number of at least 1, auto, or"),
        (("train", "--stages", "1,2"), "stages '1,2' hold 3 layers, but the network has 2"),
        (("train", "--stages", "auto", "--devices", "rpi4*2"), "stages 'auto': --devices decides this"),
        (("train", "--stages", "auto", "--standard-ms", 5), "standard_ms '5': stages 'auto' measures what layers take"),
        (("latency", "--stages", "auto", "--dataset", "random:20"), "stages 'auto': latency measures one split"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, words):
    assert words in error_of(run(*arguments, cwd=tmp_path))
    assert not list(tmp_path.iterdir())
