"""Rules of pipepita, streaming through as many stages as there are processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pipepita as pp
from bench.race.course import Course
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.tally import Tally
from pipepita.runs.listeners import Listener


class _Clock(Listener):
    """Runs while training items are learnt from, and stands still during tests."""

    def __init__(self, busy: Callable[[], float]) -> None:
        self._busy = busy
        self.laps: list[tuple[float, float]] = []  # seconds, and processor seconds of the machine

    def epoch_begins(self, epoch: int, tally: Tally) -> None:
        self._began = time.perf_counter(), self._busy()

    def evaluates(self, tally: Tally) -> None:
        began, busy = self._began
        self.laps.append((time.perf_counter() - began, self._busy() - busy))


def run(
    course: Course, seed: int, rule: str, lr: float, engine: Engine, stages: int | str, busy: Callable[[], float],
    schedule: str = "streaming",
) -> list[tuple[float, float, float]]:  # fmt: skip
    """Seconds, processor seconds and test accuracy of each epoch. busy: processor seconds of the machine so far."""
    from pipepita.rules import registry

    clock = _Clock(busy)
    options: dict[str, Any] = {"optimizer": "adam", "lr": lr, "batch_size": course.batch, "epochs": course.epochs}
    result = pp.train(
        course.model(seed), course.data(), rule=registry.read(rule), engine=engine, stages=stages, schedule=schedule,
        normalize=False, init="zero-output", seed=seed, observer=clock, **options,
    )  # fmt: skip
    accuracies = [line["test_accuracy"] for line in result.history]
    return [(seconds, busy, accuracy) for (seconds, busy), accuracy in zip(clock.laps, accuracies, strict=True)]
