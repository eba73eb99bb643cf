"""Heartbeats: which actor answers, which has fallen silent, and which may still be starting."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
import ray

from pipepita.engines.ray import monitor
from pipepita.engines.ray.monitor import Monitor

pytestmark = pytest.mark.slow


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
