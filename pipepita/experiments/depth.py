"""Depth: test accuracy with 1 to 8 hidden layers of 256, and what makes depth work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import Group, grouped, what_ran
from pipepita.experiments.settings import PEPITA, SPELLED_OUT
from pipepita.report import Report, Value, legend

_EPOCHS, _DEPTHS = 10, tuple(range(1, 9))
_MIRROR = f"{PEPITA},mirror=100"
_VARIANTS: dict[str, dict[str, Any]] = {
    "pepita": {"lr": 0.01, "rule": PEPITA},
    "mirror": {"lr": 0.01, "rule": _MIRROR},
    "normalize": {"lr": 0.03, "normalize": True, "rule": PEPITA},
    "normalize mirror": {"lr": 0.03, "normalize": True, "rule": _MIRROR},
    "normalize mirror decay": {
        "lr": 0.03,
        "normalize": True,
        "rule": _MIRROR,
        "optimizer": "sgd:momentum=0.9,weight_decay=0.0001",
    },
    "normalize all": {"lr": 0.1, "normalize": True, "rule": "pepita:modulate=all,f_scale=0.05,feedback=fixed"},
    "normalize F = 0": {"lr": 0.1, "normalize": True, "rule": "pepita:modulate=input,f_scale=0,feedback=fixed"},
    "bp": {"lr": 0.03, "rule": "bp"},
}


def cells(scale: Scale) -> list[Cell]:
    """Each variant at each depth on MNIST; the depths 1, 4 and 8 if it has to be quick."""
    return [
        Cell(
            name,
            f"{depth} hidden",
            {**SPELLED_OUT, "dataset": "mnist", "network": f"fc:256x{depth}", **variant},
            scale.epochs_of(_EPOCHS),
            seed,
            scale.items,
        )
        for name, variant in _VARIANTS.items()
        for depth in ((1, 4, 8) if scale.quick else _DEPTHS)
        for seed in scale.seeds
    ]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """One row per variant, one column per depth."""
    groups = grouped(outcomes)
    columns = list(dict.fromkeys(group.column for group in groups))
    by_place = {(group.row, group.column): group for group in groups}
    rows: list[list[Value]] = []
    for row in dict.fromkeys(group.row for group in groups):
        here = [by_place.get((row, column)) for column in columns]
        rate = next(group.cell.options["lr"] for group in here if group)
        rows.append([row, rate, *(group.words if group else None for group in here)])
    return Report(
        "Depth: test accuracy on MNIST, hidden layers of 256, percent",
        ["variant", "lr", *columns],
        rows,
        [what_ran(outcomes), "The papers trained 1 to 5 hidden layers of 1024; F = 0 is what random features reach."],
        lambda figure: _draw(figure, groups),
    )


def _draw(figure: Any, groups: Sequence[Group]) -> None:
    axes = figure.add_subplot()
    for row in dict.fromkeys(group.row for group in groups):
        here = [group for group in groups if group.row == row and group.mean is not None]
        axes.plot([int(group.column.split()[0]) for group in here], [group.mean for group in here], "o-", label=row)
    axes.set(xlabel="hidden layers", ylabel="test accuracy, %")
    legend(axes)


DEPTH = Experiment(cells, report)
