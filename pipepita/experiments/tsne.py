"""t-SNE of the hidden layer's activity: how far each rule separates the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipepita.data import Data
from pipepita.experiments.cell import Cell, Outcome, data_of
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.report import grouped, what_ran
from pipepita.experiments.settings import RULES, kept_cells
from pipepita.network.cut import cut
from pipepita.report import Report, Value
from pipepita.runs.options.reading import read_job

_ITEMS, _NEIGHBOURS = 1500, 10


def cells(scale: Scale) -> list[Cell]:
    """Table 1's fully connected networks on MNIST, with their weights kept."""
    return kept_cells(scale, "mnist", RULES)


def activities(cell: Cell, weights: dict[str, torch.Tensor], data: Data) -> np.ndarray:
    """The first hidden layer's activity for the first test items, without dropout: (items, width) float32."""
    job = read_job(None, cell.options, [])
    model = job.model(data)
    model.load_state_dict(weights)
    with torch.inference_mode():
        return cut(model, data.item_shape, data.classes)[0].evaluate(data.x_test[:_ITEMS]).flatten(1).numpy()


def purity(points: np.ndarray, labels: np.ndarray) -> float:
    """How many of a point's nearest neighbours are of its own class: percent, mean of all points.

    Args:
        points: (items, width).
        labels: (items,).
    """
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(points).kneighbors(return_distance=False)
    return 100 * float((labels[nearest] == labels[:, None]).mean())


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """Each embedding, and how pure its neighbourhoods are."""
    from sklearn.manifold import TSNE

    rows: list[list[Value]] = []
    shown: list[tuple[str, np.ndarray]] = []
    labels = np.zeros(0)
    for group in grouped(outcomes):
        outcome = group.outcomes[0]
        if not outcome.weights:
            rows.append([group.row, group.words, None, None])
            continue
        data = data_of(group.cell, place.data_dir)
        labels = data.y_test[:_ITEMS].numpy()
        states = [(group.row, "after", group.words)]
        if not shown:
            states.insert(0, ("before training", "before", "-"))
        for name, when, words in states:
            hidden = activities(group.cell, outcome.weights[when], data)
            points = TSNE(random_state=0, init="pca").fit_transform(hidden)
            shown.append((name, points))
            rows.append([name, words, round(purity(hidden, labels), 2), round(purity(points, labels), 2)])
    return Report(
        "t-SNE of the hidden layer's activity, MNIST",
        ["rule", "test %", "neighbours of the same class, %", "in the embedding"],
        rows,
        [what_ran(outcomes), f"The first seed's. {_ITEMS} test items, {_NEIGHBOURS} neighbours."],
        lambda figure: _draw(figure, shown, labels),
    )


def _draw(figure: Any, shown: Sequence[tuple[str, np.ndarray]], labels: np.ndarray) -> None:
    panels = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for axes, (name, points) in zip(panels, shown, strict=False):
        axes.scatter(points[:, 0], points[:, 1], c=labels, cmap="tab10", s=1)
        axes.set_title(name, fontsize=9)
        axes.set(xticks=[], yticks=[])


T_SNE = Experiment(cells, report)
