"""What tables of experiments have in common: outcomes by their place, and a note of what ran."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pipepita.experiments.cell import Cell, Outcome


@dataclass(frozen=True)
class Group:
    """The outcomes that share a place in a table: one per seed."""

    row: str
    column: str
    outcomes: list[Outcome]

    @property
    def cell(self) -> Cell:
        """The cell of the first seed."""
        return self.outcomes[0].cell

    @property
    def accuracies(self) -> list[float]:
        """Accuracies after the last epoch, percent, of the seeds that did not diverge."""
        return [outcome.accuracy for outcome in self.outcomes if outcome.accuracy is not None]

    @property
    def mean(self) -> float | None:
        """Percent; None if a seed diverged or the data set is absent."""
        complete = len(self.accuracies) == len(self.outcomes)
        return round(statistics.mean(self.accuracies), 2) if complete else None

    @property
    def spread(self) -> float:
        """The standard deviation over the seeds, in points of percent; 0 if there was one."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    @property
    def words(self) -> str:
        """`97.96 ± 0.05`, or why there is no number."""
        if self.outcomes[0].absent:
            return "no data"
        diverged = sum(outcome.diverged is not None for outcome in self.outcomes)
        if diverged:
            return f"{diverged} of {len(self.outcomes)} diverged"
        spread = f" ± {self.spread:.2f}" if len(self.accuracies) > 1 else ""
        return f"{statistics.mean(self.accuracies):.2f}{spread}"


def difference(mean: float | None, base: float | None) -> str | None:
    """How much more `mean` is than `base`, both in percent; None if one of them is not known.

    Example:
        >>> difference(51.93, 52.57), difference(51.93, None)
        ('-0.64', None)
    """
    return None if mean is None or base is None else f"{mean - base:+.2f}"


def grouped(outcomes: Sequence[Outcome]) -> list[Group]:
    """Outcomes by row and column, in the order of the cells."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.cell.row, outcome.cell.column), []).append(outcome)
    return [Group(row, column, members) for (row, column), members in groups.items()]


def what_ran(outcomes: Sequence[Outcome]) -> str:
    """A note: epochs, seeds and items."""
    cells = [outcome.cell for outcome in outcomes if not outcome.absent]
    if not cells:
        return "Nothing was run: no data set was found."

    def several(values: set[int]) -> str:
        return ", ".join(map(str, sorted(values)))

    items = {cell.items.first for cell in cells}
    some = "" if items == {0} else f", {several(items - {0})} training items{' (or all)' if 0 in items else ''}"
    files = sorted({str(outcome.about["read_from"]) for outcome in outcomes if "read_from" in outcome.about})
    read = f" Read from {', '.join(files)}, whose items may be in another order than torchvision's." if files else ""
    return f"Run: {several({c.epochs for c in cells})} epochs, seeds {several({c.seed for c in cells})}{some}.{read}"
