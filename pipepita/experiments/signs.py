"""Signs: deep convolutional networks need feedback that knows the signs of the weights (Moskovitz et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipepita.experiments import tries
from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import Group, difference, grouped, what_ran
from pipepita.experiments.settings import SPELLED_OUT
from pipepita.report import Report, Value, legend

NETWORK = "/".join(f"(conv:{filters},3,1,1/norm:batch)x2/pool:2" for filters in (16, 32, 64))
RATES = (0.003, 0.01, 0.03)
_EPOCHS = 10
_TRIED, _TRIED_EPOCHS = 10_000, 2
_COLUMN = "6 conv cifar10"
_COMMON: dict[str, Any] = {
    **SPELLED_OUT,
    "dataset": "cifar10",
    "network": NETWORK,
    "dropout": 0.0,
    "lr_decay": "0.1@7",
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


def tried_cells(scale: Scale) -> list[Cell]:
    """Each rule with each rate, with another seed, on a part of the items."""
    much = tries.items(scale.items.first if scale.quick else _TRIED)
    epochs = scale.epochs or _TRIED_EPOCHS
    return [
        Cell(name, tries.label(_COLUMN, lr), _COMMON | rule | {"lr": lr}, epochs, tries.SEED, much)
        for name, rule in _RULES.items()
        for lr in RATES
    ]


def results(scale: Scale, tried: Sequence[Outcome]) -> list[Cell]:
    """Each rule on CIFAR-10, with its best rate."""
    return [
        Cell(name, column, _COMMON | _RULES[name] | {"lr": lr}, scale.epochs_of(_EPOCHS), seed, scale.items)
        for (name, column), lr in tries.best(tried).items()
        for seed in scale.seeds
    ]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """Each rule next to bp and fa."""
    tried, learnt = tries.separated(outcomes)
    groups = grouped(learnt or tried)
    means = {group.row: group.mean for group in groups}
    rows: list[list[Value]] = []
    for group in groups:
        differences = [difference(group.mean, means.get(base)) for base in ("bp", "fa")]
        rows.append([group.row, f"{group.cell.options['lr']:g}", group.words, *differences])
    return Report(
        f"Signs: test accuracy on CIFAR-10, {NETWORK}, percent",
        ["rule", "lr", "test %", "over bp", "over fa"],
        rows,
        [
            what_ran(learnt),
            tries.note(tried),
        ],
        lambda figure: _draw(figure, groups),
    )


def _draw(figure: Any, groups: Sequence[Group]) -> None:
    axes = figure.add_subplot()
    for group in groups:
        if group.mean is not None:
            axes.plot(range(1, group.cell.epochs + 1), group.outcomes[0].accuracies, label=group.row)
    axes.set(xlabel="epoch", ylabel="test accuracy, %")
    legend(axes)


SIGNS = Experiment(tried_cells, report, results)
