"""What an experiment is: cells to train, and a report of their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipepita.experiments.cell import Cell, Items, Outcome
from pipepita.progress import Progress, silent
from pipepita.report import Report


@dataclass(frozen=True)
class Scale:
    """How large an experiment is run.

    Attributes:
        epochs: None means the experiment's own.
        seeds: Each cell is trained once per seed.
        quick: A first look that takes minutes: few epochs and items.
    """

    epochs: int | None = None
    seeds: tuple[int, ...] = (0,)
    quick: bool = False

    def epochs_of(self, full: int, quick: int = 2) -> int:
        """The epochs that were asked for, else `full`, or `quick` if it has to be quick."""
        return self.epochs or (quick if self.quick else full)

    @property
    def items(self) -> Items:
        """What each cell learns from, of its data set."""
        return Items(6000 if self.quick else 0)


@dataclass(frozen=True)
class Place:
    """Where a report finds what it needs beside outcomes.

    Attributes:
        data_dir: Where data sets are.
        kept: The folder in which outcomes are kept. What a report itself measures is kept there, too.
        progress: Called with (parts done, parts in all, what comes now) while it measures.
        quick: Whether a coarse measurement is enough.
    """

    data_dir: Path | None
    kept: Path
    progress: Progress = silent
    quick: bool = False


@dataclass(frozen=True)
class Experiment:
    """An experiment.

    Attributes:
        cells: The cells to train at a scale.
        report: The report of their outcomes, which come in the cells' order, those of `then` behind them.
        then: More cells, if which ones depends on the outcomes of the first.
    """

    cells: Callable[[Scale], list[Cell]]
    report: Callable[[Sequence[Outcome], Place], Report]
    then: Callable[[Scale, Sequence[Outcome]], list[Cell]] | None = None
