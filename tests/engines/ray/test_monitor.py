"""Heartbeats: which actor answers, which has fallen silent, and which may still be starting."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import ray

from pipepita.engines.ray import monitor
from pipepita.engines.ray.monitor import Monitor


@pytest.fixture
def frozen(ray_engine, monkeypatch) -> Iterator[None]:
    """The second actor does not answer. Some seconds without an answer count as silence: more than a busy one takes."""
    monkeypatch.setattr(monitor, "SILENCE_SECONDS", 10.0)
    pid = ray.get(ray_engine._actors[1].where.remote()).pid
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


def wait_for(what) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_actor_that_hangs_before_its_first_answer_counts_as_silent(ray_engine, frozen):
    silent: list[int] = []
    watching = Monitor(ray_engine._actors, 0.2, silent.append)
    try:
        watching.all_there()
        wait_for(lambda: silent)
        assert silent == [1]
        assert watching.pulses[0] is not None and watching.pulses[1] is None
    finally:
        watching.close()


def test_an_actor_that_may_still_be_starting_does_not_count_as_silent(ray_engine, frozen):
    silent: list[int] = []
    watching = Monitor(ray_engine._actors, 0.2, silent.append)
    try:
        wait_for(lambda: watching.pulses[0] is not None)
        time.sleep(11)
        assert silent == []
    finally:
        watching.close()


def test_time_in_which_this_process_did_not_run_is_nobody_elses_silence(monkeypatch):
    """As if it had been stopped, or the machine had slept. The actor has answered once, and never again."""
    now, looks, silent = [0.0], [0], list[int]()

    def wait(refs, **_):
        looks[0] += 1
        return (refs, []) if looks[0] == 1 else ([], refs)

    fake = SimpleNamespace(wait=wait, get=lambda ref: None, exceptions=SimpleNamespace(RayError=KeyError))
    monkeypatch.setattr(monitor, "load_ray", lambda: fake)
    monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(monitor, "_TICK_SECONDS", 0.001)

    def passes(seconds):
        now[0] += seconds
        until = looks[0] + 3
        wait_for(lambda: silent or looks[0] >= until)

    watching = Monitor([SimpleNamespace(pulse=SimpleNamespace(remote=object))], 0.0, silent.append)
    try:
        passes(0.0)
        watching.all_there()
        passes(1000.0)
        assert silent == []
        for _ in range(30):
            passes(0.9)
        assert silent == [0]
    finally:
        watching.close()
