"""Depth that pays: 1 to 6 convolutions on CIFAR-10, by backpropagation and by rules without a global backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipepita.experiments import tries
from pipepita.experiments.cell import Cell, Items, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import Group, grouped, what_ran
from pipepita.report import Report, Value

_ITEMS, _QUICK_ITEMS, _EPOCHS = 20_000, 2_000, 3
_COLOURS = 10  # of matplotlib, before they begin anew
_TRIED_RATES, _TRIED_ITEMS, _TRIED_EPOCHS = (0.0003, 0.001, 0.003), 10_000, 2
_DEPTHS, _QUICK_DEPTHS = (1, 2, 3, 4, 6), (1, 3)
_POOLED = [f"conv:{filters},3,1,1/pool:2/norm:item" for filters in (32, 64, 128)]
_DEEPER = "conv:128,3,1,1/norm:item"  # there is nothing left to pool
COMMON: dict[str, Any] = {
    "dataset": "cifar10",
    "activation": "relu",
    "dropout": 0.0,
    "normalize": False,
    "standardize": True,
    "init": "zero-output",
    "optimizer": "adam",
    "batch_size": 100,
}
_PEPITA = "pepita:modulate=all,f_scale=0.05,compare=sent"


@dataclass(frozen=True)
class Contender:
    """A rule, and its learning rate.

    Attributes:
        rule: As `--rule` takes it.
        lr: The best one of three tries, the same for every rule: `pipepita reproduce depth-conv-rates`.
    """

    rule: str
    lr: float = 0.001


CONTENDERS: dict[str, Contender] = {
    "bp": Contender("bp"),
    "local, pred": Contender("local:loss=pred"),
    "local, sim": Contender("local:loss=sim"),
    "local, predsim": Contender("local:loss=predsim", 0.003),
    "pepita, learned F": Contender(f"{_PEPITA},feedback=learned"),
    "pepita, local error": Contender(
        "pepita:modulate=all,f_scale=0.05,feedback=fixed,compare=sent,error=local", 0.0003
    ),
    "pepita, fixed F": Contender(f"{_PEPITA},feedback=fixed"),
    "pepita, F = 0": Contender("pepita:modulate=all,f_scale=0,compare=sent,feedback=fixed"),
    "dfa, learned": Contender("dfa:feedback=learned", 0.003),
    "dfa, fixed": Contender("dfa:feedback=fixed"),
    "gevb": Contender("gevb", 0.003),
}


def network(depth: int) -> str:
    """The spec string with so many convolutions: 32, 64 and 128 filters, pooled by 2, and then 128 each, not pooled.

    What each layer sends on is divided by its root mean square, item by item.

    Example:
        >>> network(2)
        'conv:32,3,1,1/pool:2/norm:item/conv:64,3,1,1/pool:2/norm:item'
    """
    return "/".join([*_POOLED, *[_DEEPER] * 3][:depth])


def options(contender: Contender, depth: int) -> dict[str, Any]:
    """Fields of `Job` for one rule at one depth."""
    return {**COMMON, "network": network(depth), "rule": contender.rule, "lr": contender.lr}


def cells(scale: Scale) -> list[Cell]:
    """Each rule at each depth."""
    return [
        Cell(
            name, f"{depth} conv", options(contender, depth), scale.epochs_of(_EPOCHS), seed,
            Items(_QUICK_ITEMS if scale.quick else _ITEMS),
        )
        for depth in (_QUICK_DEPTHS if scale.quick else _DEPTHS)
        for name, contender in CONTENDERS.items()
        for seed in scale.seeds
    ]  # fmt: skip


def tried_cells(scale: Scale) -> list[Cell]:
    """Each rule with each rate, at three convolutions, with another seed; judged on training items held out."""
    return [
        Cell(
            name, f"{rate:g}", options(replace(contender, lr=rate), 3), scale.epochs_of(_TRIED_EPOCHS), seed + 1,
            tries.items(_QUICK_ITEMS if scale.quick else _TRIED_ITEMS),
        )
        for rate in _TRIED_RATES
        for name, contender in CONTENDERS.items()
        for seed in scale.seeds
    ]  # fmt: skip


def report_tries(outcomes: Sequence[Outcome], place: Place) -> Report:
    """One row per rule, one column per rate, and the best rate."""
    groups = grouped(outcomes)
    columns, rows = _table(groups)
    by_place = {(group.row, group.column): group.mean for group in groups}
    for row in rows:
        means = {rate: mean for (name, rate), mean in by_place.items() if name == row[0] and mean is not None}
        row.append(max(means, key=lambda rate: means[rate]) if means else None)
    return Report(
        "Learning rates of three convolutions: accuracy on held-out training items of CIFAR-10, percent",
        ["rule", *columns, "best"],
        rows,
        [what_ran(outcomes)],
        lambda figure: _draw(figure, groups, "learning rate", scale="log"),
    )


def _table(groups: Sequence[Group]) -> tuple[list[str], list[list[Value]]]:
    """The columns, and for each rule its name and what is in them."""
    by_place = {(group.row, group.column): group.words for group in groups}
    columns = list(dict.fromkeys(group.column for group in groups))
    return columns, [[row, *(by_place.get((row, column)) for column in columns)] for row in CONTENDERS]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """One row per rule, one column per depth."""
    groups = grouped(outcomes)
    columns, rows = _table(groups)
    return Report(
        "Depth with convolutions: test accuracy on CIFAR-10, percent",
        ["rule", "lr", *columns],
        [[name, f"{CONTENDERS[str(name)].lr:g}", *values] for name, *values in rows],
        [
            what_ran(outcomes),
            "Networks: 32, 64 and 128 filters of 3 x 3, each pooled by 2, then 128 each; every item is divided by its "
            "root mean square behind each layer. Adam, batch 100, inputs standardised. F = 0: only the output layer "
            "learns.",
        ],
        lambda figure: _draw(figure, groups, "convolutions"),
    )


def _draw(figure: Any, groups: Sequence[Group], across: str, scale: str = "linear") -> None:
    axes = figure.add_subplot()
    places = dict.fromkeys(float(group.column.split()[0]) for group in groups)
    for number, row in enumerate(dict.fromkeys(group.row for group in groups)):
        here = [group for group in groups if group.row == row and group.mean is not None]
        style = "o-" if number < _COLOURS else "s--"  # there are so many colours
        axes.plot([float(group.column.split()[0]) for group in here], [group.mean for group in here], style, label=row)
    axes.set(xlabel=across, xscale=scale, ylabel="test accuracy, %")
    axes.set_xticks([*places], [f"{place:g}" for place in places], minor=False)
    axes.minorticks_off()
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)


DEPTH_CONV = Experiment(cells, report)
DEPTH_CONV_RATES = Experiment(tried_cells, report_tries)
