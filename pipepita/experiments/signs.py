"""Signs: deep convolutional networks need feedback that knows the signs of the weights (Moskovitz et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import Group, grouped, what_ran
from pipepita.experiments.settings import SPELLED_OUT
from pipepita.report import Report, Value, legend

NETWORK = "conv:32,3,1,1/pool:2/conv:32,3,1,1/conv:64,3,1,1/pool:2/conv:64,3,1,1/pool:2"
_EPOCHS = 6
_COMMON: dict[str, Any] = {
    **SPELLED_OUT,
    "dataset": "cifar10",
    "network": NETWORK,
    "normalize": True,
    "dropout": 0.0,
    "lr": 0.003,
    "lr_decay": "0.1@4",
}
_RULES: dict[str, dict[str, Any]] = {
    "bp": {"rule": "bp"},
    "fa": {"rule": "fa"},
    "dfa": {"rule": "dfa"},
    "usf": {"rule": "usf"},
    "brsf": {"rule": "brsf"},
    "frsf": {"rule": "frsf"},
    "usf, norm and signs kept": {"rule": "usf:same_norm=true,keep_signs=true"},
    "brsf, norm and signs kept": {"rule": "brsf:same_norm=true,keep_signs=true"},
}


def cells(scale: Scale) -> list[Cell]:
    """Each rule on CIFAR-10 with four convolutions, normalized."""
    return [
        Cell(name, "4 conv cifar10", _COMMON | rule, scale.epochs_of(_EPOCHS), seed, scale.items)
        for name, rule in _RULES.items()
        for seed in scale.seeds
    ]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """Each rule next to bp and fa."""
    groups = grouped(outcomes)
    means = {group.row: group.mean for group in groups}
    rows: list[list[Value]] = []
    for group in groups:
        differences = [
            f"{group.mean - base:+.2f}" if group.mean is not None and base is not None else None
            for base in (means.get("bp"), means.get("fa"))
        ]
        rows.append([group.row, group.words, *differences])
    return Report(
        f"Signs: test accuracy on CIFAR-10, {NETWORK}, percent",
        ["rule", "test %", "over bp", "over fa"],
        rows,
        [what_ran(outcomes)],
        lambda figure: _draw(figure, groups),
    )


def _draw(figure: Any, groups: Sequence[Group]) -> None:
    axes = figure.add_subplot()
    for group in groups:
        if group.mean is not None:
            axes.plot(range(1, group.cell.epochs + 1), group.outcomes[0].accuracies, label=group.row)
    axes.set(xlabel="epoch", ylabel="test accuracy, %")
    legend(axes)


SIGNS = Experiment("deep convolutional networks with sign-concordant feedback", cells, report)
