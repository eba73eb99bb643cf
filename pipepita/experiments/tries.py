"""Tries: each rule trains with each of a few learning rates, and the one that ended best is taken."""

from __future__ import annotations

from collections.abc import Sequence

from pipepita.experiments.cell import Outcome

SEED = 100  # of all tries; it also draws other items than the experiments' seeds


def label(column: str, rate: float) -> str:
    """The column of a try.

    Example:
        >>> label("fc mnist", 0.001)
        'fc mnist lr 0.001'
    """
    return f"{column} lr {rate:g}"


def best(tried: Sequence[Outcome]) -> dict[tuple[str, str], float]:
    """The learning rate that ended best, by row and column (without the rate); the smallest if all diverged."""
    by_place: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in tried:
        by_place.setdefault((outcome.cell.row, outcome.cell.column.partition(" lr ")[0]), []).append(outcome)

    def rate(one: Outcome) -> float:
        return float(one.cell.options["lr"])

    return {
        place: rate(max(outcomes, key=lambda one: (one.accuracy or 0.0, -rate(one))))
        for place, outcomes in by_place.items()
    }
