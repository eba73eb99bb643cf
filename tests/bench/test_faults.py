"""The kills of bench/faults and bench/soak, in their short forms."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

import pipepita as pp
from bench.faults import leftovers
from bench.faults.kills import Killer, Watch
from bench.faults.leftovers import Leftovers, processes
from bench.faults.measure import CASES, trained, undisturbed
from bench.soak.measure import soak
from pipepita.runs.restart import Restart


@pytest.mark.slow
@pytest.mark.parametrize("case", [0, *(pytest.param(case, marks=pytest.mark.rest) for case in range(1, len(CASES)))])
def test_a_case_ends_with_the_same_digest_again(case):
    assert undisturbed(case) == trained(case, pp.LocalEngine("cpu"), None)


@pytest.mark.slow
@pytest.mark.rest
def test_digests_tell_cases_apart():
    # relaxed equals locked; the rest differ
    assert len({undisturbed(case) for case in range(len(CASES))}) == len(CASES) - 1


def _wait(done):
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killer_kills_as_often_as_it_says():
    victims = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(3)]
    left = [process.pid for process in victims]
    restarts = 0
    killer = Killer(3, 2, 0.2, [lambda: left], lambda: restarts)
    killer._random.random = lambda: 0.0  # the second kill after a restart
    killer.begin()
    _wait(lambda: killer.kills)
    time.sleep(0.3)
    assert len(killer.kills) == 1
    restarts = 1
    _wait(lambda: len(killer.kills) == 2)
    killer.end()
    for process in victims:
        process.kill()
        process.wait()


def test_detection_counts_from_the_kill_before():
    watch = Watch()
    watch.restarted(Restart(1, 3, "", (), 0.0))
    now = watch.noticed[0]
    (seconds,) = watch.detection([now - 5, now - 0.25, now + 1])
    assert seconds == pytest.approx(0.25)


def test_leftovers_are_found(tmp_path, monkeypatch):
    # tests beside this one have shared memory and sockets of their own
    monkeypatch.setattr(Leftovers, "_shared", staticmethod(set))
    monkeypatch.setattr(leftovers, "_sockets", set)
    left = Leftovers(tmp_path)
    assert left._now() == []
    (tmp_path / "file").write_text("x")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", tmp_path])
    try:
        assert str(tmp_path / "file") in left._now()
        assert process.pid in processes(tmp_path)
        assert os.getpid() not in processes(tmp_path)
    finally:
        process.kill()
        process.wait()
    (tmp_path / "file").unlink()
    assert left.remaining() == []


def test_leftover_sockets_are_found(tmp_path):
    left, name = Leftovers(tmp_path), f"@pipepita-{os.getpid()}-left"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name.replace("@", "\0"))
        listener.listen()
        assert name in left._now()
    assert name not in left._now()


@pytest.mark.slow
@pytest.mark.rest  # its kills and restarts are those of tests/runs/test_recovery.py
@pytest.mark.timeout(600)
def test_a_short_soak(monkeypatch):
    shared = Leftovers._shared
    # tests beside this one have semaphores of their own
    monkeypatch.setattr(Leftovers, "_shared", staticmethod(lambda: {name for name in shared() if "/sem." not in name}))
    row = soak(0.12)
    assert row["runs"] >= 2
    assert row["equal digests"] == row["runs"]
    assert row["left behind"] == "nothing"
    at_first, at_last = map(int, row["open files"].split(" -> "))
    assert at_last <= at_first + 2
