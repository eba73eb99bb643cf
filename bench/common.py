"""What the benchmarks share: interleaved timing, and the machine in words."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    model = "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next(
            (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), model
        )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.release()}",
    }


def interleaved(runs: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, list[float]]:
    """Median milliseconds a call, a list of one figure a round.

    In each round every run is called `calls` times in a row (the first third is warm-up), then the next one, so that a
    drifting machine favours none; in a row, because a training loop does not alternate with another one either.
    """
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times = []
            for _ in range(calls):
                began = time.perf_counter()
                run()
                times.append(1000 * (time.perf_counter() - began))
            figures[name].append(statistics.median(times[calls // 3 :]))
    return figures


def ratio(figures: dict[str, list[float]], name: str, base: str) -> float:
    """The median over rounds of `name`'s figure over `base`'s."""
    return statistics.median(a / b for a, b in zip(figures[name], figures[base], strict=True))


def main(measure: Callable[[bool], list[dict[str, Any]]], description: str | None) -> None:
    """The command line of one benchmark: `measure(quick)` returns the rows of its table."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and cases: a look, not a figure to quote")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a Markdown table")
    arguments = parser.parse_args()
    show(measure(arguments.quick), arguments.json)


def note(text: str) -> None:
    """A line of progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Markdown on stdout, a table for each run of rows with the same columns, or one JSON object with the machine.

    A cell is a number, a text, a list of them, or a dataclass: its text in a table, its fields in JSON.
    """
    if as_json:
        print(json.dumps({"machine": machine(), "rows": rows}, default=dataclasses.asdict))
        return
    print(f"{machine()}\n", file=sys.stderr)
    for number, (columns, group) in enumerate(itertools.groupby(rows, key=tuple)):
        if number:
            print()
        print("| " + " | ".join(columns) + " |")
        print("|" + "---|" * len(columns))
        for row in group:
            print("| " + " | ".join(map(_cell, row.values())) + " |")


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
