"""`pipepita rules`."""

from __future__ import annotations

import inspect
import json
from typing import Annotated, Any

import typer

from pipepita.cli.words import JSON_HELP
from pipepita.errors import UserError
from pipepita.report import plain_table


def rules(as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False) -> None:
    """List the learning rules that have a name, and their options.

    A rule of your own needs no name: write --rule module:Class or --rule path/to/file.py:Class.
    """
    from pipepita.rules import BUILT_IN, installed

    known = {name: _about(name) for name in BUILT_IN}
    known |= {name: {"package": point.dist and point.dist.name, **_about(name)} for name, point in installed().items()}
    if as_json:
        print(json.dumps({"rules": known}))
        return
    from rich.console import Console

    table = plain_table()
    table.add_column("rule", no_wrap=True)
    table.add_column("what it is")
    table.add_column("options, with their defaults: --rule NAME:option=value,...")
    for name, about in known.items():
        table.add_row(name, about["about"], "\n".join(about["options"].values()))
    Console(markup=False, highlight=False, emoji=False).print(table)


def _about(name: str) -> dict[str, Any]:
    """What a rule says about itself; if it cannot be loaded, why."""
    from pipepita.rules import options
    from pipepita.rules.registry import find

    try:
        kind = find(name)
    except UserError as error:
        return {"about": str(error), "options": {}}
    described = {option: options.described(field, kind) for option, field in options.options(kind).items()}
    return {"about": (inspect.getdoc(kind) or "").partition("\n")[0], "options": described}
