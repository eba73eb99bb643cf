"""Ablation (Appendix D): how well PEPITA learns without the error, or with noise in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import difference, grouped, what_ran
from pipepita.experiments.settings import DATASETS, EPOCHS, FC, PEPITA, options
from pipepita.report import Report, Value, legend

_NOISE_SCALES = (0.01, 0.05, 0.25)  # F's own scale is 0.05
_ERROR, _NOTHING = "F e", "F = 0"


def _variants() -> dict[str, dict[str, Any]]:
    random = "pepita:modulate=input,perturbation=random,feedback=fixed"
    return {
        _ERROR: {},
        "F sign(e)": {"rule": f"{PEPITA},perturbation=sign"},
        _NOTHING: {"rule": "pepita:modulate=input,f_scale=0,feedback=fixed"},
        **{f"noise {scale:g}": {"rule": f"{random},f_scale={scale:g}"} for scale in _NOISE_SCALES},
    }


def cells(scale: Scale) -> list[Cell]:
    """PEPITA and its ablations on MNIST and CIFAR-10."""
    return [
        Cell(name, dataset, options(FC, dataset, "pepita") | changes, scale.epochs_of(EPOCHS), seed, scale.items)
        for dataset in DATASETS[:2]
        for name, changes in _variants().items()
        for seed in scale.seeds
    ]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """Each variant next to F = 0, where only the output layer learns."""
    groups = grouped(outcomes)
    base = {group.column: group.mean for group in groups if group.row == _NOTHING}
    rows: list[list[Value]] = []
    for group in groups:
        rows.append([group.column, group.row, group.words, difference(group.mean, base.get(group.column))])
    return Report(
        "Ablation: what enters the second pass",
        ["data", "perturbation", "test %", "over F = 0"],
        rows,
        [what_ran(outcomes), "F = 0 leaves random features under a trained output layer."],
        lambda figure: _draw(figure, groups),
    )


def _draw(figure: Any, groups: Sequence[Any]) -> None:
    columns = list(dict.fromkeys(group.column for group in groups))
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        for number, group in enumerate(group for group in groups if group.column == column):
            if group.mean is not None:
                axes.plot(
                    range(1, group.cell.epochs + 1), group.outcomes[0].accuracies, color=f"C{number}", label=group.row
                )
        axes.set(title=column, xlabel="epoch", ylabel="test accuracy, %")
        legend(axes, 6)


ABLATION = Experiment(cells, report)
