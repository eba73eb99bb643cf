"""`pipepita reproduce`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipepita.cli.options import name_written
from pipepita.cli.words import JSON_HELP
from pipepita.errors import RunError, UserError, unknown
from pipepita.experiments.catalogue import EXPERIMENTS, experiment
from pipepita.extras import need
from pipepita.files import check_folder

if TYPE_CHECKING:
    from pipepita.experiments.cell import Cell

_MOST_EPOCHS, _MOST_SEEDS = 10_000, 100


def reproduce(
    what: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT",
            help="\n\n".join(f"{name}: {entry.line}" for name, entry in EXPERIMENTS.items()),
            show_default=False,
        ),
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="fewer epochs and items: a first look, in minutes instead of hours")
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(help="epochs of each run (default: the experiment's own)", show_default=False)
    ] = None,
    seeds: Annotated[
        str,
        typer.Option(
            help="seeds of the runs of each cell, like 0,1,2; given only 0, locality also takes 1 and 2 for its fully "
            "connected network, unless --quick is given"
        ),
    ] = "0",
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="run only cells whose name holds this text, like 'fc mnist', as whole words if there are such cells; "
            "may be repeated (default: all)",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for tables, pictures and finished cells")] = Path("reproduced"),
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="folder with the data sets (default: $PIPEPITA_DATA if set, else ./data)", show_default=False
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="how many cells run at once (default: one per core)", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Repeat an experiment of a paper, and compare the results with the paper's.

    An experiment consists of cells, like those of a table. Finished cells are kept in the folder --out and are not run
    again.
    """
    from pipepita.experiments.experiment import Place, Scale
    from pipepita.experiments.grid import outcomes
    from pipepita.machine import cores
    from pipepita.runs.display import progress

    if what not in EXPERIMENTS:
        raise unknown("experiment", what, EXPERIMENTS)
    need("reproduce", "matplotlib", "scipy", "sklearn")
    if epochs is not None and not 1 <= epochs <= _MOST_EPOCHS:
        raise UserError(f"--epochs {epochs}: it must be from 1 to {_MOST_EPOCHS}")
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs {jobs}: it must be at least 1")
    check_folder(out, "--out")
    chosen = experiment(what)
    scale = Scale(epochs, _seeds(seeds), quick)
    cells = chosen.cells(scale)
    _known(only or [], cells)
    cells = _chosen(cells, only)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with progress(what) as advance:
            options: dict[str, Any] = {
                "data_dir": data_dir,
                "jobs": jobs or cores(),
                "progress": advance,
                "warn": _warn,
            }
            found = outcomes(cells, out / "cells", **options)
            if found and all(outcome.absent for outcome in found):
                raise UserError(f"no data set is there: {found[0].absent}")
            if chosen.then is not None:
                found += outcomes(_chosen(chosen.then(scale, found), only), out / "cells", **options)
            report = chosen.report(found, Place(data_dir, out / "cells", advance, quick))
        paths = report.write(out, _stem(what, quick=quick, epochs=epochs, seeds=seeds, only=only))
    except OSError as error:
        raise RunError(f"cannot write in {out}: {error.strerror or error}") from None
    if as_json:
        print(
            json.dumps(
                {"experiment": what, "rows": report.records(), "notes": report.notes, "files": list(map(str, paths))}
            )
        )
        return
    report.show()
    name_written(paths)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _known(only: Sequence[str], cells: Sequence[Cell]) -> None:
    """`UserError` if one of the texts is in no cell's name."""
    for text in only:
        if not _chosen(cells, [text]):
            names = sorted({f"{cell.column} {cell.row}" for cell in cells})
            raise UserError(f"--only {text!r} is in no cell's name: the names are {', '.join(names)}")


def _chosen(cells: Sequence[Cell], only: Sequence[str] | None) -> list[Cell]:
    """Those whose name, with or without a try's learning rate, holds one of the texts; all if there is none.

    If a text is a whole word of some names, it does not mean others: "conv cifar10" is not "conv cifar100".
    """
    if not only:
        return list(cells)
    names = [(cell.name, re.sub(r" lr \S+", "", cell.name)) for cell in cells]
    chosen: set[int] = set()
    for text in only:
        word = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
        whole = {place for place, each in enumerate(names) if any(map(word.search, each))}
        chosen |= whole or {place for place, each in enumerate(names) if any(text in name for name in each)}
    return [cell for place, cell in enumerate(cells) if place in chosen]


def _stem(what: str, *, quick: bool, epochs: int | None, seeds: str, only: Sequence[str] | None) -> str:
    """The name of the files. It says what was run, so that a part of an experiment does not replace the whole."""
    words = [what, "quick" if quick else "", f"epochs-{epochs}" if epochs else ""]
    words += [f"seeds-{seeds}" if seeds != "0" else "", f"only-{'-'.join(only)}" if only else ""]
    return re.sub(r"[^a-zA-Z0-9]+", "-", "-".join(filter(None, words))).strip("-")


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
        if min(seeds) < 0 or len(seeds) > _MOST_SEEDS:
            raise ValueError
    except ValueError:
        raise UserError(f"--seeds {text}: up to {_MOST_SEEDS} whole numbers of at least 0, like 0,1,2") from None
    return seeds
