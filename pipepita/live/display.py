"""What people see of an online run on stderr. The predictions go to stdout."""

from __future__ import annotations

import sys
from typing import Any

from pipepita.live.counts import Counts
from pipepita.live.items import Refused
from pipepita.runs.display import Observer


class Display(Observer):
    """One line every ten seconds, and one for everything that people should know."""

    def warn(self, text: str) -> None:
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def prepares(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    chose = prepares

    def epoch_ends(self, line: dict[str, Any]) -> None:
        print(in_words(line), file=sys.stderr, flush=True)


def in_words(figures: dict[str, Any]) -> str:
    """The figures of `Counts` in one line."""
    parts = [f"{figures['items']} items", f"{figures['learnt']} learnt from"]
    if figures["items_per_second"] is not None:
        parts.append(f"{figures['items_per_second']:.0f} per second")
    if figures.get("mae") is not None:
        parts.append(f"MAE {figures['mae']:.4g} (lately {figures['sliding_mae']:.4g})")
        parts += [f"R2 {figures['r2']:.3f}"] if figures["r2"] is not None else []
    if figures.get("accuracy") is not None:
        parts.append(f"accuracy {figures['accuracy']:.2f} % (lately {figures['sliding_accuracy']:.2f})")
    latency = figures["latency_ms"]
    if latency["p50"] is not None:
        parts.append(f"latency {latency['p50']:.1f}, {latency['p95']:.1f}, {latency['p99']:.1f} ms (p50, p95, p99)")
    parts += [f"{figures['dropped']} dropped"] if figures["dropped"] else []
    troubles = {**figures["refused"], **figures["odd"]}
    return "  ".join(parts + [f"{count} of no use ({what})" for what, count in troubles.items()])


class Complaints:
    """Says of each kind of line that is of no use once what is wrong with it, and counts the others."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def __call__(self, number: int, error: Refused) -> None:
        self._counts.refused[error.kind] += 1
        if self._counts.refused[error.kind] == 1:
            text = f"warning: line {number} is skipped: {error}; others like it are only counted"
            print("".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:500], file=sys.stderr, flush=True)
