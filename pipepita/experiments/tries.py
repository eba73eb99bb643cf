"""Tries: each rule trains with each of a few learning rates, and the one that ended best is taken.

A try is tested on training items that are held out from it, so that no rate is chosen by the test items.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipepita.experiments.cell import Items, Outcome
from pipepita.experiments.report import what_ran

SEED = 100  # of all tries
_HELD_OUT = 0.1  # of the training items


def items(first: int) -> Items:
    """What a try learns from: so many training items, and it is tested on others."""
    return Items(first, held_out=_HELD_OUT)


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


def separated(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """The tries, and the results."""
    tried = [outcome for outcome in outcomes if outcome.cell.items.held_out]
    return tried, [outcome for outcome in outcomes if not outcome.cell.items.held_out]


def note(tried: Sequence[Outcome]) -> str:
    """What a report says of its tries."""
    rates = sorted({float(one.cell.options["lr"]) for one in tried})
    listed = ", ".join(f"{rate:g}" for rate in rates)
    return (
        f"Each rule had {len(rates)} tries, judged on a tenth of the training items, which they did not learn from: "
        f"{listed}. {what_ran(tried)}"
    )
