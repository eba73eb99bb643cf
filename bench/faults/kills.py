"""Which process is killed, when, and how soon that is noticed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from bench.faults.leftovers import processes
from pipepita.runs.display import Observer
from pipepita.runs.restart import Restart

_LOOK_SECONDS = 0.05


def workers(folder: Path) -> list[int]:
    """The worker processes of the Ray cluster in `folder`, those that hold a stage and those in reserve."""
    return [pid for pid, words in processes(folder).items() if words.startswith(("ray::StageActor", "ray::IDLE"))]


def services(folder: Path) -> list[int]:
    """The processes of which each embedded cluster in `folder` has one: raylet, control store, and two agents."""
    names = ("raylet/raylet", "gcs_server", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
    return [pid for pid, words in processes(folder).items() if any(name in words for name in names)]


class Killer:
    """Kills processes of a run with SIGKILL at `count` random moments, in a thread of its own.

    About half of the later kills wait until the run has recovered from the one before; the others come during the
    recovery.

    seconds: how long an undisturbed run takes. victims: each time, one group is drawn of these, and one process of the
    group as it is then. restarts: returns how often the run has recovered.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        seconds: float,
        victims: Sequence[Callable[[], Collection[int]]],
        restarts: Callable[[], int],
    ) -> None:
        self._random, self._count, self._seconds = random.Random(seed), count, seconds
        self._victims, self._restarts = victims, restarts
        self._ended = threading.Event()
        self.kills: list[float] = []  # when each one was, seconds of the monotonic clock
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Starts killing."""
        self._thread.start()

    def _run(self) -> None:
        before = 0
        for number in range(self._count):
            if number and self._random.random() < 0.5:
                while self._restarts() == before and not self._ended.wait(_LOOK_SECONDS):
                    pass
            if self._ended.wait(self._random.uniform(0, self._seconds / 2)):
                return
            before = self._restarts()
            if victims := list(self._random.choice(self._victims)()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._random.choice(victims), signal.SIGKILL)
                    self.kills.append(time.monotonic())

    def end(self) -> None:
        """Stops killing."""
        self._ended.set()
        self._thread.join()


class Watch(Observer):
    """Remembers every restart, and when its fault was noticed."""

    def __init__(self) -> None:
        self.restarts: list[Restart] = []
        self.noticed: list[float] = []

    def restarted(self, restart: Restart) -> None:
        self.restarts.append(restart)
        self.noticed.append(time.monotonic() - restart.seconds)

    def count(self) -> int:
        """How often the run was restarted, including restarts during a recovery."""
        return self.restarts[-1].number if self.restarts else 0

    def detection(self, kills: Sequence[float]) -> list[float]:
        """Seconds from the last kill before each fault to when it was noticed."""
        delays = []
        for noticed in self.noticed:
            before = [kill for kill in kills if kill <= noticed]
            if before:
                delays.append(noticed - before[-1])
        return delays
