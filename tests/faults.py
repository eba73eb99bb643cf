"""Stages that are killed in the middle of a run, and what the run says about it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import ray

import pipepita as pp
from pipepita.runs.display import Observer

OPTIONS = {"epochs": 4, "batch_size": 8, "schedule": "streaming", "window": 3, "snapshot_every": 5, "lr": 0.02}


def model(data: pp.Data):
    return pp.build("fc:24x2", data.item_shape, 10, dropout=0.1)


class Log(Observer):
    """Calls `at` with the number of each sample of the run, and keeps the warnings."""

    def __init__(self, at: Callable[[int], None] = lambda sample: None) -> None:
        self.warnings: list[str] = []
        self._at, self._past, self._seen = at, 0, -1

    def sample(self, tally):
        number = self._past + tally.steps
        if number > self._seen:  # once, although samples come again after a restart
            self._seen = number
            self._at(number)

    def epoch_ends(self, line):
        self._past = line["step"]

    def warn(self, text):
        self.warnings.append(text)


def kill(engine: pp.RayEngine, stage: int, number: int = signal.SIGKILL) -> None:
    os.kill(ray.get(engine._actors[stage].pulse.remote(), timeout=60).pid, number)
