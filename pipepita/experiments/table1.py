"""Table 1: test accuracy of rules on three data sets, with a fully connected and a convolutional network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import difference, grouped, what_ran
from pipepita.experiments.settings import CONV, DATASETS, EPOCHS, FC, RULES, TABLE1
from pipepita.experiments.settings import options as settings
from pipepita.report import Report, Value

_NETWORKS = {FC: "fc", CONV: "conv"}


def cells(scale: Scale) -> list[Cell]:
    """One cell for each network, data set, rule and seed."""
    return [
        Cell(rule, f"{short} {dataset}", settings(network, dataset, rule), scale.epochs_of(EPOCHS), seed, scale.items)
        for network, short in _NETWORKS.items()
        for dataset in DATASETS
        for rule in RULES
        for seed in scale.seeds
    ]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """Each place next to the paper's figure, with the difference."""
    rows: list[list[Value]] = []
    for group in grouped(outcomes):
        options = group.cell.options
        paper = TABLE1.get((options["network"], options["dataset"], group.row))
        over = difference(group.mean, paper)
        rows.append([group.column, group.row, group.words, paper, over, group.cell.epochs, options["lr"]])
    return Report(
        "Table 1: test accuracy, percent",
        ["network, data", "rule", "here", "paper", "difference", "epochs", "lr"],
        rows,
        [what_ran(outcomes), "Paper: Dellaferrera & Kreiman 2022, table 1, 100 epochs, where we know its figure."],
        lambda figure: _draw(figure, rows),
    )


def _draw(figure: Any, rows: Sequence[Sequence[Value]]) -> None:
    axes = figure.add_subplot()
    shown = [row for row in rows if row[2] and str(row[2])[0].isdigit() and "diverged" not in str(row[2])]
    for place, row in enumerate(shown):
        mean = float(str(row[2]).split()[0])
        axes.bar(place, mean, color=f"C{RULES.index(str(row[1]))}")
        if row[3] is not None:
            axes.plot([place - 0.4, place + 0.4], [row[3], row[3]], color="k")
    axes.set_xticks(range(len(shown)), [f"{row[0]}\n{row[1]}" for row in shown], fontsize=6, rotation=60)
    axes.set_ylabel("test accuracy, %")
    axes.set_title("bars: here; black lines: the paper", fontsize=9)


TABLE_1 = Experiment(cells, report)
