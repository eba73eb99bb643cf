"""Weights: how the weights of a hidden layer are distributed before and after training, by rule (figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import grouped, what_ran
from pipepita.experiments.settings import RULES, kept_cells
from pipepita.report import Report, Value, legend

_FITTED = 20_000  # weights, drawn at random: a t fit to all of them would take minutes


def cells(scale: Scale) -> list[Cell]:
    """Table 1's fully connected networks on CIFAR-10, with their weights kept."""
    return kept_cells(scale, "cifar10", RULES)


def fits(weights: np.ndarray) -> dict[str, float]:
    """The moments of `weights` (of any shape), and whether a Student-t distribution fits them better than a normal one.

    Returns:
        std: Standard deviation. kurtosis: Excess kurtosis. degrees: The t fit's degrees of freedom, large if the
        weights are normal. gain: How much larger the t fit's log likelihood is than the normal's, nats per weight.
    """
    from scipy import stats

    values = weights.ravel().astype(float)
    if len(values) > _FITTED:
        values = np.random.default_rng(0).choice(values, _FITTED, replace=False)
    degrees, location, scale = stats.t.fit(values)
    t = float(stats.t.logpdf(values, degrees, location, scale).mean())
    normal = float(stats.norm.logpdf(values, *stats.norm.fit(values)).mean())
    kurtosis = float(stats.kurtosis(values))
    return {"std": float(values.std()), "kurtosis": kurtosis, "degrees": float(degrees), "gain": t - normal}


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """The distribution of W_1 before training, and after it for each rule."""
    rows: list[list[Value]] = []
    shown: list[tuple[str, np.ndarray]] = []
    for group in grouped(outcomes):
        outcome = group.outcomes[0]
        if not outcome.weights:
            rows.append([group.row, group.words, *[None] * 4])
            continue
        before, after = (_first(outcome.weights[when]) for when in ("before", "after"))
        if not shown:
            shown.append(("before", before))
            rows.append(["before training", None, *_figures(before)])
        shown.append((group.row, after))
        rows.append([group.row, group.words, *_figures(after)])
    return Report(
        "Weights of the hidden layer",
        ["rule", "test %", "std", "excess kurtosis", "t: degrees of freedom", "t over normal, nats per weight"],
        rows,
        [
            what_ran(outcomes),
            f"The first seed's. Fits to {_FITTED} weights drawn at random; uniform weights have a kurtosis of -1.2.",
        ],
        lambda figure: _draw(figure, shown),
    )


def _first(tensors: dict[str, torch.Tensor]) -> np.ndarray:
    return next(iter(tensors.values())).numpy()


def _figures(weights: np.ndarray) -> list[Value]:
    fit = fits(weights)
    degrees: Value = round(fit["degrees"], 2) if fit["degrees"] < 1000 else "over 1000"
    return [round(fit["std"], 5), round(fit["kurtosis"], 3), degrees, round(fit["gain"], 4)]


def _draw(figure: Any, shown: Sequence[tuple[str, np.ndarray]]) -> None:
    from scipy import stats

    panels = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for axes, (name, weights) in zip(panels, shown, strict=False):
        values = weights.ravel()
        limit = float(np.quantile(np.abs(values), 0.9995))
        axes.hist(values, bins=80, range=(-limit, limit), density=True, color="0.7")
        x = np.linspace(-limit, limit, 300)
        axes.plot(x, stats.norm.pdf(x, values.mean(), values.std()), linewidth=0.8, label="normal")
        some = np.random.default_rng(0).choice(values, min(len(values), _FITTED), replace=False)
        axes.plot(x, stats.t.pdf(x, *stats.t.fit(some)), linewidth=0.8, label="Student t")
        axes.set_title(name, fontsize=9)
        axes.set_yscale("log")
        axes.set_ylim(bottom=1e-3)
    legend(panels[0], 6)


WEIGHTS = Experiment(cells, report)
