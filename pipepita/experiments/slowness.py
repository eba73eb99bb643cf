"""Slowness: how many epochs a rule needs to half of its plateau (figure 4, table 2 of the paper).

The plateau curve a t / (t + s), with a of at most 100 %, is fitted to the test accuracy of the first 60 epochs, before
the learning rate falls. (The published code takes the best of these accuracies for a, and fits s alone. It also puts
the chance level at epoch 0, which changes nothing: the curve is 0 there for any a and s.)
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipepita.experiments import table1
from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import grouped, what_ran
from pipepita.experiments.settings import EPOCHS
from pipepita.report import Report, Value, legend

FITTED = 60
_FEWEST, _SLOWEST = 3, 1000.0


def slowness(accuracies: Sequence[float]) -> tuple[float, float] | None:
    """(a, s) of the plateau curve, for test accuracies (percent) after epochs 1, 2, ...

    None for fewer than three accuracies, and if no such curve fits.

    Example:
        >>> a, s = slowness([80 * t / (t + 0.5) for t in range(1, 60)])
        >>> round(s, 1)
        0.5
    """
    if len(accuracies) < _FEWEST:
        return None
    from scipy.optimize import curve_fit

    curve = np.array(accuracies[:FITTED])
    epochs, most = np.arange(1, len(curve) + 1), [100.0, _SLOWEST]
    try:
        (a, s), _ = curve_fit(
            lambda t, a, s: a * t / (t + s), epochs, curve, p0=[min(curve.max(), 100.0), 0.5], bounds=([0, 0], most)
        )
    except RuntimeError:
        return None
    return (float(a), float(s)) if s < 0.99 * _SLOWEST else None


def cells(scale: Scale) -> list[Cell]:
    """Table 1's cells, whose outcomes serve both. A quick look takes more epochs here: two points make no curve."""
    return table1.cells(replace(scale, epochs=scale.epochs_of(EPOCHS, quick=5)))


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """s of each network, data set and rule; a small s is fast."""
    rows: list[list[Value]] = []
    curves: list[tuple[str, Sequence[float], tuple[float, float]]] = []
    for group in grouped(outcomes):
        fits = [fit for one in group.outcomes if one.accuracy is not None and (fit := slowness(one.accuracies))]
        if len(fits) < len(group.outcomes):
            why = group.words if group.mean is None else "no fit"
            rows.append([group.column, group.row, why, None, None])
            continue
        a, s = (statistics.mean(values) for values in zip(*fits, strict=True))
        rows.append([group.column, group.row, round(s, 4), round(a, 2), min(FITTED, group.cell.epochs)])
        curves.append((f"{group.column} {group.row}", group.outcomes[0].accuracies[:FITTED], (a, s)))
    return Report(
        "Slowness: s in a t / (t + s), epochs",
        ["network, data", "rule", "s", "a, %", "epochs fitted"],
        rows,
        [what_ran(outcomes)],
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


SLOWNESS = Experiment(cells, report)
