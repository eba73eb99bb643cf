"""`python -m bench.reproduced signs`: an experiment of `pipepita reproduce`, written onto the page that shows it.

    pipepita reproduce signs --json     its rows     -> the table "signs" of bench/paper/result.json, and the page's
                                        its picture  -> bench/paper/signs.png

What follows the experiment's name goes to `pipepita reproduce`: `--only "fc mnist" --out FOLDER`. Finished cells are
kept there, so that a table is written from them in seconds. A part of `locality` (`--only conv`) has a picture of its
own, and its columns stand beside those of other parts.
"""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import pages
from bench.common import note
from pipepita.machine import machine
from pipepita.report import in_table

HERE = Path(__file__).parent
Row = dict[str, Any]
Tables = dict[str, list[Row]]


def main(arguments: list[str]) -> int:
    """Runs the experiment, and writes its page's JSON, tables and picture."""
    if not arguments or arguments[0].startswith("-"):
        note("usage: python -m bench.reproduced EXPERIMENT [options of pipepita reproduce]")
        return 2
    what, *options = arguments
    done = subprocess.run(
        [sys.executable, "-m", "pipepita", "reproduce", what, *options, "--json"], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        return done.returncode
    said = json.loads(done.stdout)
    folder = HERE / what if (HERE / what).is_dir() else HERE / "paper"
    write(folder, _elsewhere_too(arguments), said)
    return 0


def _elsewhere_too(arguments: list[str]) -> list[str]:
    """The arguments without folders of this machine."""
    folders = ("--out", "--data-dir")
    follows = [False, *(one in folders for one in arguments[:-1])]
    return [one for one, after in zip(arguments, follows, strict=True) if not after and one not in folders]


def write(folder: Path, arguments: list[str], said: dict[str, Any]) -> None:
    """Writes what an experiment said into `folder`: beside the other experiments' tables there.

    Args:
        folder: The page's folder.
        arguments: Those of `pipepita reproduce`: the experiment, and its options.
        said: What `pipepita reproduce --json` printed.
    """
    what, file = arguments[0], folder / "result.json"
    result = json.loads(file.read_text()) if file.exists() else {"commands": {}, "tables": {}}
    command = f"pipepita reproduce {shlex.join(arguments)}"
    part = _part(arguments) if what in IN_PARTS else what
    result["commands"][part] = {"command": command, "machine": machine(), "date": time.strftime("%Y-%m-%d")}
    rows = [{name: in_table(value) for name, value in row.items()} for row in said["rows"]]
    result["tables"] |= IN_PARTS[what](rows, result["tables"]) if what in IN_PARTS else {what: rows}
    for path in map(Path, said["files"]):
        if path.suffix == ".png":
            shutil.copyfile(path, folder / f"{part.replace(' ', '-')}.png")
    pages.write(file, result)
    for line in said["notes"]:
        note(line)


def _part(arguments: list[str]) -> str:
    """What was run of an experiment: "locality conv mnist"."""
    only = [value for option, value in itertools.pairwise(arguments) if option == "--only"]
    return " ".join([arguments[0], *only])


def locality(rows: list[Row], before: Tables) -> Tables:
    """Its one wide table as several: accuracies and seconds with a column per data set, and costs per network.

    before: The tables of parts that were run before, whose columns stay.
    """
    by_rule: dict[str, list[Row]] = {}
    for row in rows:
        by_rule.setdefault(row["rule"], []).append(row)

    def beside(table: str, cell: Callable[[Row], str]) -> list[Row]:
        found = {row["rule"]: row for row in before.get(table, [])}
        for rule, those in by_rule.items():
            found[rule] = found.get(rule, {"rule": rule}) | {row["network, data"]: cell(row) for row in those}
        columns = list(dict.fromkeys(column for row in found.values() for column in row))
        return [{column: row.get(column, "-") for column in columns} for row in found.values()]

    tables = {
        "accuracy": beside("accuracy", lambda row: row["test %"]),
        "seconds": beside("seconds", lambda row: f"{row['s to 90 % of bp']} / {row['s to 98 %']}"),
        "rates": beside("rates", lambda row: row["lr"]),
    }
    for network in dict.fromkeys(row["network, data"].split()[0] for row in rows):
        costs = {row["rule"]: row for row in rows if row["network, data"].startswith(network)}
        tables[f"costs {network}"] = [
            {"rule": rule} | {name: value for name, value in row.items() if name not in _RESULTS}
            for rule, row in costs.items()
        ]
    return tables


_RESULTS = {"network, data", "rule", "lr", "test %", "over bp", "over F = 0", "s to 90 % of bp", "s to 98 %"}
IN_PARTS: dict[str, Callable[[list[Row], Tables], Tables]] = {"locality": locality}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
