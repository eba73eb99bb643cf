"""Three charts of tables that benchmarks wrote: speed-up by depth, accuracy by depth, accuracy by window."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.pictures.theme import HERE, Theme, drawn

_SIZE = (7.2, 3.6)
_RULES = {  # those of the table that the picture shows: with all eleven it could not be read
    "bp": "backpropagation", "dfa, learned": "DFA, learned", "local, pred": "local losses",
    "pepita, learned F": "PEPITA, learned F", "pepita, fixed F": "PEPITA, fixed F", "pepita, F = 0": "no error (F = 0)",
}  # fmt: skip
_CHANCE = 10.0  # percent, of ten classes


def _table(bench: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((HERE.parent / bench / "result.json").read_text())["tables"][name]
    return rows


def _number(text: str) -> float:
    """The first number of a table's cell: "95.20 ± 0.26" is 95.2."""
    return float(text.replace("*", "").split()[0])


def _label(axes: Any, lines: Sequence[tuple[float, float, str, str]], gap: float) -> None:
    """Writes each line's name behind its end, (x, y, name, colour), at least `gap` apart."""
    lowest = -float("inf")
    for x, y, name, colour in sorted(lines, key=lambda line: line[1]):
        lowest = max(y, lowest + gap)
        axes.annotate(name, (x, lowest), (6, 0), textcoords="offset points", color=colour, va="center", fontsize=9)


def speedup() -> Iterator[Path]:
    """How much faster than locked, by depth, next to the ceiling: two stages, 256 units, batch 64."""
    rows = [
        row for row in _table("schedules", "1") if (row["width"], row["batch"], row["stages"]) == ("256", "64", "2")
    ]
    depths = [int(row["layers"]) for row in rows]

    def draw(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        ends = []
        for number, (column, name) in enumerate(
            {
                "streaming / locked": "streaming",
                "relaxed / locked": "relaxed",
                "its ceiling": "streaming's ceiling",
            }.items()
        ):
            values, ceiling = [float(row[column]) for row in rows], column == "its ceiling"
            colour = theme.faint if ceiling else theme.lines[number]
            axes.plot(depths, values, "--" if ceiling else "o-", color=colour)
            ends.append((depths[-1], values[-1], name, colour))
        axes.plot(depths, [1.0] * len(depths), color=theme.faint)
        axes.set(xscale="log", xlabel="layers", ylabel="times as fast as locked", ylim=(0.9, None))
        axes.set_xticks(depths, [str(depth) for depth in depths])
        axes.minorticks_off()
        axes.grid(axis="y")
        _label(axes, [*ends, (depths[-1], 1.0, "locked", theme.faint)], 0.1)

    return drawn("speedup", _SIZE, draw, rows)


def rules() -> Iterator[Path]:
    """Test accuracy by the number of convolutions, for each rule: CIFAR-10, three epochs."""
    rows = {row["rule"]: row for row in _table("paper", "depth-conv")}
    columns = [column for column in rows["bp"] if column.endswith(" conv")]
    depths = [int(column.split()[0]) for column in columns]

    def draw(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        ends = []
        for (rule, name), colour in zip(_RULES.items(), theme.lines, strict=True):
            values = [_number(rows[rule][column]) for column in columns]
            axes.plot(depths, values, "o--" if rule == "pepita, F = 0" else "o-", color=colour)
            ends.append((depths[-1], values[-1], name, colour))
        axes.set(xlabel="convolutions", ylabel="test accuracy, %")
        axes.set_xticks(depths)
        axes.grid(axis="y")
        _label(axes, ends, 1.6)

    return drawn("rules", _SIZE, draw, list(rows.values()))


def forms() -> Iterator[Path]:
    """Test accuracy by how many samples are in flight, for each form: one hidden layer, MNIST, two epochs."""
    rows = _table("staleness", "1")
    windows_name = next(iter(rows[0]))
    windows = [int(row[windows_name]) for row in rows]

    def draw(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        ends = []
        for form, colour in zip(("recompute", "difference", "stash", "textbook"), theme.lines, strict=False):
            values = [_CHANCE if "diverged" in row[form] else _number(row[form]) for row in rows]
            axes.plot(windows, values, "o-", color=colour)
            for window, row in zip(windows, rows, strict=True):
                if "diverged" in row[form]:
                    axes.plot(window, _CHANCE, "x", color=colour, markersize=9)
            ends.append(
                (windows[-1], values[-1], form + (", diverged" if "diverged" in rows[-1][form] else ""), colour)
            )
        axes.set(xscale="log", xlabel="window: samples in flight", ylabel="test accuracy, %", ylim=(0, 100))
        axes.set_xticks(windows, [str(window) for window in windows])
        axes.minorticks_off()
        axes.grid(axis="y")
        _label(axes, ends, 6.0)

    return drawn("forms", _SIZE, draw, rows)
