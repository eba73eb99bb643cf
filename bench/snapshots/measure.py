"""`python -m bench.snapshots`: the same epoch with snapshots every so many samples, in memory and on disk, in turn."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.common import note

NETWORKS = ("fc:1024", "fc:256x8")
EVERY = (None, 400, 100, 25)
SAMPLES, BATCH, STAGES = 800, 64, 2


def epoch_seconds(engine: pp.RayEngine, network: str, every: int | None, folder: Path | None) -> float:
    """Seconds of one epoch with a snapshot every `every` samples, each also written to `folder` if there is one."""
    data = pp.load("random:784")
    chosen = [index % len(data.x_train) for index in range(SAMPLES * BATCH)]
    data = pp.Data(data.x_train[chosen], data.y_train[chosen], data.x_test, data.y_test, 10, "random")
    result = pp.train(
        pp.build(network, data.item_shape, 10), data, rule=pp.Pepita(modulate="input"), engine=engine, normalize=False,
        epochs=1, batch_size=BATCH, lr=0.001, optimizer="sgd:momentum=0.9", stages=STAGES,
        snapshot_every=every, run_dir=folder, checkpoint_every=0,
    )  # fmt: skip
    return float(result.history[-1]["seconds"])


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per network and interval."""
    rounds, rows = 2 if quick else 5, []
    engine = pp.RayEngine(STAGES, device="cpu")
    try:
        for network in NETWORKS:
            figures: dict[tuple[int | None, bool], list[float]] = {}
            epoch_seconds(engine, network, None, None)  # the first run of a process is slow
            for number in range(rounds):
                note(f"{network}, round {number + 1} of {rounds}")
                for every in EVERY:
                    for disk in (False, True):
                        with tempfile.TemporaryDirectory() as name:
                            seconds = epoch_seconds(engine, network, every, Path(name) / "run" if disk else None)
                        figures.setdefault((every, disk), []).append(seconds)
            plain = figures[None, False]
            for every in EVERY:
                rows.append(
                    {
                        "network": network,
                        "snapshot every": every or "epoch",
                        "ms a sample": 1000 * statistics.median(figures[every, False]) / SAMPLES,
                        "times none": _ratio(figures[every, False], plain),
                        "times none, all to disk": _ratio(figures[every, True], plain),
                    }
                )
    finally:
        engine.close()
    return rows


def _ratio(seconds: list[float], base: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(seconds, base, strict=True))
