"""The report of an experiment: a table as CSV, as Markdown and in the terminal, and a picture."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipepita.experiments.cell import Cell, Outcome

Value = str | float | int | None


@dataclass
class Report:
    """A table, and maybe a picture.

    Attributes:
        title: What it shows.
        columns: The heads of the columns.
        rows: A value for each column; None is shown as "-".
        notes: What a reader must know, below the table.
        draw: Draws the picture into the matplotlib figure that it is given; None if there is no picture.
    """

    title: str
    columns: list[str]
    rows: list[list[Value]]
    notes: list[str] = field(default_factory=list)
    draw: Callable[[Any], None] | None = None

    def csv(self) -> str:
        """The table as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([["" if value is None else value for value in row] for row in self.rows])
        return text.getvalue()

    def markdown(self) -> str:
        """Title, table and notes."""
        lines = [f"# {self.title}", "", _row(self.columns), _row(["---"] * len(self.columns))]
        lines += [_row([_text(value) for value in row]) for row in self.rows]
        return "\n".join([*lines, "", *self.notes, ""])

    def write(self, folder: Path, name: str) -> list[Path]:
        """Writes NAME.csv, NAME.md and, if there is a picture, NAME.png."""
        paths = [folder / f"{name}.csv", folder / f"{name}.md"]
        paths[0].write_text(self.csv())
        paths[1].write_text(self.markdown())
        if self.draw is not None:
            from matplotlib.figure import Figure

            figure = Figure(figsize=(8, 4.5), layout="constrained")
            self.draw(figure)
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1], dpi=150)
        return paths

    def show(self) -> None:
        """The table and its notes on stdout."""
        from rich.console import Console
        from rich.table import Table

        table = Table(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*map(_text, row))
        console = Console()
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False, highlight=False)


def legend(axes: Any, size: int = 7) -> None:
    """A small legend, if any line has a label."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=size)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
    def words(self) -> str:
        """`97.96 ± 0.05`, or why there is no number."""
        if self.outcomes[0].absent:
            return "no data"
        diverged = sum(outcome.diverged is not None for outcome in self.outcomes)
        if diverged:
            return f"{diverged} of {len(self.outcomes)} diverged"
        spread = f" ± {statistics.stdev(self.accuracies):.2f}" if len(self.accuracies) > 1 else ""
        return f"{statistics.mean(self.accuracies):.2f}{spread}"


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
    return f"Run: {several({c.epochs for c in cells})} epochs, seeds {several({c.seed for c in cells})}{some}."
