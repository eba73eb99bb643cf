"""A table for people and for programs, with notes and perhaps a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

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

    def records(self) -> list[dict[str, Value]]:
        """Each row by the heads of its columns, as JSON has it."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

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
        lines += [_row([in_table(value) for value in row]) for row in self.rows]
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
            table.add_row(*map(in_table, row))
        console = Console()
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False, highlight=False)


def plain_table(title: str | None = None) -> Table:
    """An empty table for the terminal, without lines between its rows."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def legend(axes: Any, size: int = 7) -> None:
    """A small legend, if any line has a label."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=size)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def in_table(value: Value) -> str:
    """A value as tables show it: numbers with four digits, or with all that stand before the point."""
    if value is None:
        return "-"
    return four_digits(value) if isinstance(value, float) else str(value)


def four_digits(value: float) -> str:
    """A number with four digits, or with all digits before the point if there are more.

    From 1e9 on, and below 1e-4, it has an exponent.

    Example:
        >>> four_digits(1.23456), four_digits(9999.6), four_digits(16008.4)
        ('1.235', '10000', '16008')
    """
    return f"{value:.0f}" if 9999.5 <= abs(value) < 1e9 else f"{value:.4g}"
