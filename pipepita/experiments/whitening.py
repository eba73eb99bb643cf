"""Whitening: what rules gain from inputs without correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import Group, difference, grouped, what_ran
from pipepita.experiments.settings import EPOCHS, FC, RULES, options
from pipepita.report import Report, Value, legend

_PLAIN, _WHITE = "as they are", "whitened"


def cells(scale: Scale) -> list[Cell]:
    """Each rule on CIFAR-10, with plain and with whitened inputs."""
    return [
        Cell(rule, column, options(FC, "cifar10", rule), scale.epochs_of(EPOCHS), seed, items)
        for column, items in ((_PLAIN, scale.items), (_WHITE, replace(scale.items, whitened=True)))
        for rule in RULES
        for seed in scale.seeds
    ]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """Both accuracies of each rule, and their difference."""
    by_place = {(group.row, group.column): group for group in grouped(outcomes)}
    rows: list[list[Value]] = []
    for rule in dict.fromkeys(row for row, _ in by_place):
        groups = [by_place.get((rule, column)) for column in (_PLAIN, _WHITE)]
        plain, white = (None if group is None else group.mean for group in groups)
        rows.append([rule, *(group.words if group else None for group in groups), difference(white, plain)])
    return Report(
        "Whitening: test accuracy on CIFAR-10, fully connected, percent",
        ["rule", _PLAIN, _WHITE, "difference"],
        rows,
        [what_ran(outcomes), "ZCA from the training items; the same settings in both."],
        lambda figure: _draw(figure, list(by_place.values())),
    )


def _draw(figure: Any, groups: Sequence[Group]) -> None:
    axes = figure.add_subplot()
    rules = list(dict.fromkeys(group.row for group in groups))
    for group in groups:
        if group.mean is not None:
            style = "--" if group.column == _PLAIN else "-"
            axes.plot(
                range(1, group.cell.epochs + 1), group.outcomes[0].accuracies, style,
                color=f"C{rules.index(group.row)}", label=f"{group.row}, {group.column}",
            )  # fmt: skip
    axes.set(xlabel="epoch", ylabel="test accuracy, %")
    legend(axes)


WHITENING = Experiment(cells, report)
