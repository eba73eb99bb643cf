"""`pipepita reproduce` as people use it."""

from __future__ import annotations

import json
import signal

import pytest
from commandline import ended, error_of, run, start
from leftovers import left_of, processes_of
from mnist_like import write

from pipepita.cli.reproduce import _chosen
from pipepita.experiments import locality
from pipepita.experiments.catalogue import experiment
from pipepita.experiments.experiment import Scale


@pytest.fixture
def elsewhere(places, tmp_path):
    """`places`, with torch's cache elsewhere: importing torchvision makes a cache folder in TMPDIR."""
    return {**places, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "torch")}


@pytest.mark.slow
def test_a_quick_run_and_a_second_one_from_the_cells_that_are_kept(tmp_path, digits, elsewhere):
    data_dir = write(tmp_path / "data", digits)
    arguments = ("reproduce", "alignment", "--quick", "--epochs", 1, "--data-dir", data_dir, "--out", "out", "--json")
    done = run(*arguments, cwd=tmp_path, **elsewhere)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert [row["data"] for row in printed["rows"]] == ["mnist", "cifar10", "cifar100"]
    assert float(printed["rows"][0]["test %"]) > 30
    assert printed["rows"][1]["test %"] == "no data"
    assert done.stderr.count("is left out") == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "alignment-quick-epochs-1.csv", "alignment-quick-epochs-1.md", "alignment-quick-epochs-1.png", "cells",
    ]  # fmt: skip
    kept = [path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()]
    again = run(*arguments, cwd=tmp_path, **elsewhere)
    assert json.loads(again.stdout)["rows"] == printed["rows"]
    assert len(kept) == 1
    assert [path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()] == kept
    assert not processes_of(elsewhere["TMPDIR"])


@pytest.mark.slow
@pytest.mark.rest
def test_tsne_embeds_real_activities(tmp_path, digits, elsewhere):
    data_dir = write(tmp_path / "data", digits)
    done = run(
        "reproduce",
        "tsne",
        "--quick",
        "--epochs",
        1,
        "--only",
        "pepita",
        "--data-dir",
        data_dir,
        cwd=tmp_path,
        **elsewhere,
    )
    assert done.returncode == 0, done.stderr
    assert "before training" in done.stdout
    assert (tmp_path / "reproduced" / "tsne-quick-epochs-1-only-pepita.png").stat().st_size > 5000


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_and_keeps_what_is_done(tmp_path, digits, elsewhere):
    data_dir = write(tmp_path / "data", digits)
    arguments = ("reproduce", "ablation", "--epochs", 2000, "--data-dir", data_dir, "--jobs", 1, "--json")
    child = start(*arguments, cwd=tmp_path, **elsewhere)
    assert child.stderr is not None
    while "cells done" not in (line := child.stderr.readline()):
        assert line, "it ended before its workers began"
    child.send_signal(signal.SIGINT)
    done = ended(child)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert not left_of(str(tmp_path))


@pytest.mark.slow
def test_workers_end_with_a_process_that_is_killed(tmp_path, digits, elsewhere):
    data_dir = write(tmp_path / "data", digits)
    arguments = ("reproduce", "ablation", "--epochs", 2000, "--data-dir", data_dir, "--jobs", 1)
    child = start(*arguments, cwd=tmp_path, **elsewhere)
    assert child.stderr is not None
    while "cells done" not in (line := child.stderr.readline()):
        assert line, "it ended before its workers began"
    child.kill()
    child.wait()  # its workers would keep its streams open
    assert not left_of(str(tmp_path))


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (["6 conv pepita, fixed F"], {("6 conv", "pepita, fixed F")}),
        (["1 conv bp", "6 conv bp"], {("1 conv", "bp"), ("6 conv", "bp")}),
    ],
)
def test_only_takes_names_with_commas_and_may_be_repeated(only, chosen):
    assert {(cell.column, cell.row) for cell in _chosen(experiment("depth-conv").cells(Scale()), only)} == chosen


def test_only_names_tries_with_and_without_their_rate():
    cells = experiment("locality").cells(Scale())
    assert len(_chosen(cells, ["fc mnist bp"])) == len(locality.RATES)
    assert [cell.options["lr"] for cell in _chosen(cells, ["fc mnist lr 0.001 bp"])] == [0.001]
    assert {cell.options["dataset"] for cell in _chosen(cells, ["conv cifar10"])} == {"cifar10"}
    assert {cell.options["dataset"] for cell in _chosen(cells, ["conv cifar"])} == {"cifar10", "cifar100"}
    assert _chosen(cells, None) == cells


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tabel1",), "did you mean 'table1'"),
        (("table1", "--epochs", 0), "--epochs 0"),
        (("table1", "--jobs", 0), "--jobs 0"),
        (("table1", "--seeds", "1,x"), "--seeds 1,x"),
        (("table1", "--only", "fc minst"), "is in no cell's name: the names are conv cifar10 bp"),
        (("table1", "--only", "fc mnist", "--only", "fc minst"), "--only 'fc minst' is in no cell's name"),
        (("table1",), "no data set is there"),
        (("table1", "--out", "/dev/null/x"), "cannot write in /dev/null/x"),
    ],
)
def test_mistakes(tmp_path, arguments, words):
    failed = 1 if "--out" in arguments else 2
    error = error_of(run("reproduce", *arguments, cwd=tmp_path, PIPEPITA_DATA=str(tmp_path)), failed)
    assert words in error
