"""Slowness: how many epochs a rule needs to half of its plateau (figure 4, table 2 of the paper).

The plateau curve a t / (t + s) is fitted to the test accuracy of the first 60 epochs, before the learning rate falls,
with chance at epoch 0. (The published code takes the best of these accuracies for a, and fits s alone.)
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipepita.experiments import table1
from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Scale
from pipepita.experiments.report import Report, Value, grouped, legend, what_ran

FITTED = 60


def slowness(accuracies: Sequence[float], chance: float) -> tuple[float, float]:
    """(a, s) of the plateau curve, for test accuracies (percent) after epochs 1, 2, ...; chance: before the first.

    >>> a, s = slowness([80 * t / (t + 0.5) for t in range(1, 60)], 0.0)
    >>> round(s, 1)
    0.5
    """
    from scipy.optimize import curve_fit

    curve = np.array([chance, *accuracies[:FITTED]])
    epochs, smallest = np.arange(len(curve)), 1e-6  # 0 / 0 otherwise
    (a, s), _ = curve_fit(
        lambda t, a, s: a * t / (t + s), epochs, curve, p0=[curve.max(), 0.5], bounds=(smallest, np.inf)
    )
    return float(a), float(s)


def cells(scale: Scale) -> list[Cell]:
    """Table 1's, whose outcomes serve both."""
    return table1.cells(scale)


def report(found: Sequence[Outcome], data_dir: Path | None) -> Report:
    """s of each place; small is fast."""
    rows: list[list[Value]] = []
    curves: list[tuple[str, Sequence[float], tuple[float, float]]] = []
    for group in grouped(found):
        chance = 1.0 if "cifar100" in group.column else 10.0
        fits = [slowness(one.accuracies, chance) for one in group.outcomes if one.accuracy is not None]
        if len(fits) < len(group.outcomes):
            rows.append([group.column, group.row, group.words, None, None])
            continue
        a, s = (statistics.mean(values) for values in zip(*fits, strict=True))
        rows.append([group.column, group.row, round(s, 4), round(a, 2), min(FITTED, group.cell.epochs)])
        curves.append((f"{group.column} {group.row}", group.outcomes[0].accuracies[:FITTED], (a, s)))
    return Report(
        "Slowness: s in a t / (t + s), epochs",
        ["network, data", "rule", "s", "a, %", "epochs fitted"],
        rows,
        [what_ran(found)],
        lambda figure: _draw(figure, curves),
    )


def _draw(figure: Any, curves: Sequence[tuple[str, Sequence[float], tuple[float, float]]]) -> None:
    places = list(dict.fromkeys(name.rsplit(" ", 1)[0] for name, _, _ in curves)) or [""]
    panels = figure.subplots(1, len(places), squeeze=False)[0]
    for axes, place in zip(panels, places, strict=True):
        for number, (name, accuracies, (a, s)) in enumerate(c for c in curves if c[0].startswith(f"{place} ")):
            epochs = np.arange(1, len(accuracies) + 1)
            axes.plot(epochs, accuracies, ".", color=f"C{number}", markersize=3, label=name.rsplit(" ", 1)[1])
            axes.plot(epochs, a * epochs / (epochs + s), "-", color=f"C{number}", linewidth=0.8)
        axes.set_title(place, fontsize=8)
        axes.set_xlabel("epoch")
        legend(axes, 6)
    panels[0].set_ylabel("test accuracy, %")


SLOWNESS = Experiment("how fast each rule nears its plateau", cells, report)
