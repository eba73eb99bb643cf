"""Alignment: the angle between F and W_2 W_1 over training, and the norm of W_1 (section 4.3, figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import grouped, what_ran
from pipepita.experiments.settings import DATASETS, EPOCHS, FC, options
from pipepita.report import Report, Value, legend


def cells(scale: Scale) -> list[Cell]:
    """PEPITA on each data set."""
    return [
        Cell("pepita", dataset, options(FC, dataset, "pepita"), scale.epochs_of(EPOCHS), seed, scale.items, "alignment")
        for dataset in DATASETS
        for seed in scale.seeds
    ]


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """The angle and the norm before training, after the first epoch, and after the last."""
    rows: list[list[Value]] = []
    for group in grouped(outcomes):
        probes = group.outcomes[0].probes
        if not probes:
            rows.append([group.column, group.words, *[None] * 6])
            continue
        before, first, last = probes[0], probes[1], probes[-1]
        norms = [before["norms"][0], last["norms"][0]]
        highest = max(probe["degrees"] for probe in probes)
        rows.append([
            group.column, group.words, before["degrees"], first["degrees"], last["degrees"], highest, *norms,
        ])  # fmt: skip
    return Report(
        "Alignment: degrees between F and W_2 W_1",
        ["data", "test %", "before", "after epoch 1", "after the last", "highest", "norm of W_1 before", "after"],
        rows,
        [what_ran(outcomes), "Above 90 degrees F e works against the error. Angles and norms are the first seed's."],
        lambda figure: _draw(figure, outcomes),
    )


def _draw(figure: Any, outcomes: Sequence[Outcome]) -> None:
    angles, norms = figure.subplots(1, 2)
    for number, outcome in enumerate(one for one in outcomes if one.probes):
        epochs = range(len(outcome.probes))
        label = f"{outcome.cell.column}, seed {outcome.cell.seed}"
        angles.plot(epochs, [probe["degrees"] for probe in outcome.probes], color=f"C{number}", label=label)
        norms.plot(epochs, [probe["norms"][0] for probe in outcome.probes], color=f"C{number}")
    angles.axhline(90, color="grey", linewidth=0.8)
    angles.set(xlabel="epoch", ylabel="degrees between F and W_2 W_1")
    norms.set(xlabel="epoch", ylabel="norm of W_1")
    legend(angles)


ALIGNMENT = Experiment(cells, report)
