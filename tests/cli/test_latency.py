"""`pipepita latency` as people use it."""

from __future__ import annotations

import json
import signal
import time

import pytest
from commandline import ended, error_of, process, run, start
from leftovers import actors_of, forgotten, processes_of, shared_memory


@pytest.mark.slow
def test_one_object_pictures_and_nothing_left(tmp_path, places, every_case):
    shared = shared_memory()
    files = {"--plot": "plot.png", "--trace": "trace.json", "--timeline": "gantt.png"}
    done = process(
        "latency", "--layers", "2,3" if every_case else "2", "--width", 16, "--dataset", "random:20",
        "--batch-size", 2, "--rounds", 1, "--seconds", 0.05, *(part for pair in files.items() for part in pair),
        "--json", cwd=tmp_path, **places,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    networks = json.loads(done.stdout)["networks"]
    assert [(one["network"], one["layers"]) for one in networks] == [("fc:16x1", 2), ("fc:16x2", 3)][: 1 + every_case]
    for one in networks:
        assert set(one["schedules"]) == {"locked", "relaxed", "streaming"}
        assert set(one["in_process"]) == {"one_thread_ms", "all_threads_ms"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files.values())
    assert done.stderr.splitlines()[-1] == "written: plot.png, trace.json, gantt.png"
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {"X", "M", "s", "f"} <= {event["ph"] for event in events}
    assert not forgotten(shared)
    assert not processes_of(places["TMPDIR"])


@pytest.mark.slow
def test_rules_side_by_side(lent_engine, tmp_path):
    done = run(
        "latency", "--network", "fc:16x2", "--dataset", "random:20", "--batch-size", 2, "--rounds", 1,
        "--rules", "pepita:modulate=input, bp,drtp,pepita:modulate=all,form=stash", "--seconds", 0.05,
        "--plot", "rules.png", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rules = json.loads(done.stdout)["rules"]
    assert [(one["rule"], one["flow"]) for one in rules] == [
        ("pepita", "up"), ("bp", "down"), ("drtp", "none"), ("pepita", "all"),
    ]  # fmt: skip
    for one in rules:
        assert all(len(row["lock_ms"]) == 3 for row in one["schedules"].values())
        assert all(row["latency_ms"]["update"]["p50"] > 0 for row in one["schedules"].values())
    assert (tmp_path / "rules.png").stat().st_size > 5000
    bp, drtp = rules[1]["schedules"], rules[2]["schedules"]
    assert bp["streaming"]["window"] == 3
    assert bp["relaxed"]["ceiling"] == 1
    assert drtp["relaxed"]["ceiling"] == drtp["streaming"]["ceiling"] > 1
    table = run(
        "latency", "--network", "fc:16", "--rules", "bp,dfa", "--dataset", "random:20", "--rounds", 1, "--seconds",
        0.05, cwd=tmp_path, COLUMNS="80",
    )  # fmt: skip
    assert "down" in table.stdout
    assert "dfa" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80


@pytest.mark.slow
@pytest.mark.rest
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_nothing(tmp_path, places, number):
    child = start("latency", "--network", "fc:16", "--rounds", 1000, "--json", cwd=tmp_path, **places)
    deadline = time.monotonic() + 200
    while not actors_of(places["TMPDIR"]):
        assert time.monotonic() < deadline and child.poll() is None, ended(child)
        time.sleep(0.2)
    time.sleep(3)
    child.send_signal(number)
    done = ended(child)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert not processes_of(places["TMPDIR"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--layers", "1"), "--layers 1: whole numbers of at least 2"),
        (("--layers", "2,x"), "--layers 2,x"),
        (("--layers", "2", "--network", "fc:8"), "give one of them"),
        (("--emulate-ms", "5", "--standard-ms", "5"), "sets --standard-ms and --modulated-ms: leave these two out"),
        (("--emulate-ms", "nan"), "--emulate-ms 'nan': milliseconds"),
        (("--network", "fc:0"), "below 1"),
        (("--dataset", "random:no"), "random:784"),
        (("--plot", "no/where.png"), "--plot no/where.png: its folder does not exist"),
        (("--timeline", "gantt.txt"), "ends in .png"),
        (("--rounds", "0"), "0 rounds"),
        (("--seconds", "-1"), "-1.0 s"),
        (("--window", "0"), "window '0'"),
        (("--stages", "99"), "stages"),
        (("--rules", "pepta"), "did you mean 'pepita'"),
        (("--rules", "bp:modulate=all"), "rule bp: unknown option 'modulate': one of form"),
        (("--rules", "pepita:form"), "rule 'pepita:form': form has no value"),
        (("--rules", "bp,", "--network", "fc:8"), "rule '' cannot be read"),
        (("--rules", "all", "--layers", "2"), "give one of them"),
        (("--rules", "usf", "--modulate", "all"), "No such option: --modulate"),
        (("--rules", "all", "--rule", "bp"), "--rules all and --rule bp: give one of them"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, words):
    assert words in error_of(run("latency", *arguments, cwd=tmp_path))
    assert not list(tmp_path.iterdir())
