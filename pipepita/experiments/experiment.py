"""What an experiment is: cells to train, and a report of what they came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.report import Report


@dataclass(frozen=True)
class Scale:
    """How large to run. epochs: None is the paper's. quick: a look in minutes: few epochs, items and seeds."""

    epochs: int | None = None
    seeds: tuple[int, ...] = (0,)
    quick: bool = False

    def epochs_of(self, full: int, quick: int = 2) -> int:
        """As given, else `full`, or `quick` for a look."""
        return self.epochs or (quick if self.quick else full)

    @property
    def items(self) -> int:
        """Training items; 0 is all."""
        return 6000 if self.quick else 0


@dataclass(frozen=True)
class Experiment:
    """about: a line for the help. cells: by scale. report: of their outcomes, in the cells' order."""

    about: str
    cells: Callable[[Scale], list[Cell]]
    report: Callable[[Sequence[Outcome], Path | None], Report]
