"""What the benchmarks share: interleaved timing, and tables."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipepita.errors import PipepitaError
from pipepita.machine import machine


def interleaved(runs: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, list[float]]:
    """Median milliseconds per call: for each run a list of one figure per round.

    In each round every run has its turn, so that a machine that becomes slower favours none. A turn is `calls` calls in
    a row, because a training loop does not alternate with another one either; the first third of them is warm-up.
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
    """The median over rounds of `name`'s figure divided by `base`'s."""
    return statistics.median(a / b for a, b in zip(figures[name], figures[base], strict=True))


def main(measure: Callable[[bool], list[dict[str, Any]]], description: str | None) -> None:
    """The command line of one benchmark: `measure(quick)` returns the rows of its table.

    The exit codes are pipepita's: 0, 1 for a run that failed (with one line on stderr), 130 for Ctrl-C.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and cases: a quick look, not to be quoted")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a Markdown table")
    parser.add_argument("--write", action="store_true", help="also write result.json beside the page, and its tables")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("--quick is not to be quoted, so it cannot go with --write")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM closes engines, too
    try:
        if arguments.write:
            from bench import pages  # before anything is measured: hours would be lost with it
        rows = measure(arguments.quick)
        show(rows, arguments.json)
        if arguments.write:
            module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]
            here = Path(sys.modules[measure.__module__].__file__ or "").parent
            name = module.rpartition(".")[2]
            pages.write(here / ("result.json" if name == "__main__" else f"{name}.json"), result(rows, module))
    except PipepitaError as error:
        note(f"error: {error}")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        note("interrupted")
        raise SystemExit(130) from None


def note(text: str) -> None:
    """Prints a line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Prints a Markdown table on stdout, or one JSON object with the machine, the rows and the same table.

    A value is a number, a text, a list of them, or a dataclass, which is its text in a table and its fields in JSON.
    """
    if as_json:
        result = {"machine": machine(), "rows": rows, "table": markdown(rows)}
        print(json.dumps(result, default=dataclasses.asdict))
        return
    print(f"{machine()}\n", file=sys.stderr)
    print(markdown(rows))


def result(rows: list[dict[str, Any]], module: str) -> dict[str, Any]:
    """What a benchmark's JSON file holds: its command, the machine, the day, and its tables, named 1, 2 and so on."""
    groups = [list(group) for _, group in itertools.groupby(rows, key=tuple)]
    return {
        "command": f"python -m {module.removesuffix('.__main__')}",
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "tables": {str(number): group for number, group in enumerate(groups, 1)},
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Markdown tables: one for each group of neighbouring rows with the same columns."""
    tables = []
    for columns, group in itertools.groupby(rows, key=tuple):
        head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        tables.append("\n".join([*head, *("| " + " | ".join(map(_cell, row.values())) + " |" for row in group)]))
    return "\n\n".join(tables)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
