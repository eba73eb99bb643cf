"""`python -m bench.online`: items on standard input, as fast as they are taken, by micro-batch.

A process of its own reads digits as lines of JSON, 64 numbers each, and learns from them with two hidden layers of 64.
Its figure is set against the time that reading the lines takes alone.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.common import note
from pipepita.live.items import Parser

BATCHES = (1, 4, 16, 64)
_ITEMS, _QUICK_ITEMS, _ROUNDS = 40_000, 3_000, 3
_RULE = "pepita:modulate=all,f_scale=0.1,feedback=learned"
_OPTIONS = {
    "network": "fc:64x2", "normalize": True, "rule": _RULE, "lr": 0.002, "optimizer": "sgd:momentum=0.9", "window": 2,
    "schedule": "adaptive", "look_ahead": "on", "engine": "local",
}  # fmt: skip


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per micro-batch: medians of some rounds, in which each has its turn."""
    data = pp.load("digits")
    lines = [
        json.dumps({"x": [round(value, 4) for value in x.flatten().tolist()], "y": int(y)}).encode() + b"\n"
        for x, y in zip(data.x_train, data.y_train, strict=True)
    ]
    reading = _reading(lines)
    figures: dict[int, list[tuple[float, dict[str, float]]]] = {batch: [] for batch in BATCHES}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(1 if quick else _ROUNDS):
            for batch in BATCHES:
                count = _QUICK_ITEMS if quick else _ITEMS // (1 if batch > 4 else 4)
                figures[batch].append(_online(lines, count, batch, Path(folder) / f"{turn}-{batch}"))
                note(f"micro-batch {batch}: {figures[batch][-1][0]:.0f} items per second")
    rows = []
    for batch, results in figures.items():
        rate = statistics.median(rate for rate, _ in results)
        rows.append(
            {
                "micro-batch": batch,
                "items per second": rate,
                "reading a line, us": reading,
                "share of the time, %": 100 * reading * rate / 1e6,
                "latency p50, ms": statistics.median(latency["p50"] for _, latency in results),
                "p99, ms": statistics.median(latency["p99"] for _, latency in results),
            }
        )
    return rows


def _reading(lines: list[bytes]) -> float:
    """Microseconds to make an item of a line."""
    parser, times = Parser((64,), 10), []
    for _ in range(5):
        began = time.perf_counter()
        for line in lines:
            parser.read(line, 0.0)
        times.append(1e6 * (time.perf_counter() - began) / len(lines))
    return statistics.median(times)


def _online(lines: list[bytes], count: int, batch: int, run_dir: Path) -> tuple[float, dict[str, float]]:
    """Items per second, and latencies."""
    options = [word for name, value in _OPTIONS.items() for word in _option(name, value)]
    command = [sys.executable, "-m", "pipepita", "online", "--source", "-", "--features", "64", "--classes", "10"]
    text = b"".join((lines * (count // len(lines) + 1))[:count])
    subprocess.run(
        [*command, *options, "--batch-size", str(batch), "--run-dir", str(run_dir)],
        input=text, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    result = json.loads((run_dir / "result.json").read_text())
    return result["items_per_second"], result["latency_ms"]


def _option(name: str, value: object) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    return [option] if value is True else [option, str(value)]
