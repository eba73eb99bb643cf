"""The predictions of `plan` for people: a table in the terminal, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from pipepita.schedule import FIXED

_WORDS = (
    "*: the fastest of its column. The word behind a time is what limits it: the cores; one core; the stage that has "
    "most to do; the coordinator; hops, if messages take longer than the passes that wait for them; or the order in "
    "which passes wait for each other."
)


def show(summary: dict[str, Any]) -> None:
    """Prints the table and the choice on stdout."""
    console = Console()
    console.print(_table(summary))
    for line in (_WORDS, _usual(summary), _choice(summary)):
        console.print(line, highlight=False, markup=False)


def _table(summary: dict[str, Any]) -> Table:
    what = f"{summary['network']}: {summary['layers']} layers, batch {summary['batch_size']}"
    table = Table(title=f"{what}; predicted ms per sample", title_justify="left")
    table.add_column("stages", no_wrap=True)
    table.add_column("layers of each")
    for name in FIXED:
        table.add_column(_column(name, summary["windows"][name]), no_wrap=True)
    best = {name: one["ms"] for name, one in summary["best"].items()}

    def cells(row: dict[str, Any]) -> list[str]:
        return [
            f"{'*' if row[name]['ms'] == best[name] else ' '}{row[name]['ms']:.3g} {row[name]['limit']}"
            for name in FIXED
        ]

    table.add_row("one process", str(summary["layers"]), *cells(dict.fromkeys(FIXED, summary["one_process"])))
    table.add_section()
    for row in summary["stages"]:
        table.add_row(str(row["stages"]), split_in_words(row["split"]), *cells(row))
    return table


def _column(schedule: str, window: int) -> str:
    return schedule if window == 1 else f"{schedule}, {window}"


def split_in_words(split: Sequence[int]) -> str:
    """How many layers each stage holds.

    >>> split_in_words([1, 2, 2, 3]), split_in_words([9])
    ('1, 2 x 2, 3', '9')
    """
    groups = [(layers, len(list(alike))) for layers, alike in groupby(split)]
    return ", ".join(f"{layers}" if count == 1 else f"{count} x {layers}" for layers, count in groups)


def _usual(summary: dict[str, Any]) -> str:
    usual = summary["one_stage_per_layer"]
    return (
        f"train --engine ray --schedule {usual['schedule']} without --stages: one stage per layer, "
        f"{usual['ms']:.3g} ms per sample, {usual['times_one_process']:.2f} times what one process takes."
    )


def _choice(summary: dict[str, Any]) -> str:
    one = summary["choice"]
    if one["engine"] == "local":
        said = f"one process: --engine local --schedule {one['schedule']}"
    else:
        split = ",".join(map(str, one["split"])) if one["stages"] > 1 else "1"
        said = f"--engine ray --schedule {one['schedule']} --stages {split}"
    return (
        f"Fastest: {said}, {one['ms']:.3g} ms per sample, {one['times_one_process']:.2f} times what one process takes."
    )
