"""What commands share: options that are made of groups of fields, and results as JSON or as a table."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from pipepita.cli.words import set_parameters, value_name, with_default

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from rich.table import Table

    from pipepita.runs.options.group import Group

Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="set any option; this overrides the file and the other options",
        rich_help_panel="Other",
        show_default=False,
    ),
]

JobFile = Annotated[Path | None, typer.Argument(metavar="JOB", help="TOML file with options", show_default=False)]
RunToResume = Annotated[
    Path | None,
    typer.Option(
        help="go on with the run of this folder, from its last checkpoint", show_default=False, rich_help_panel="Other"
    ),
]

# The panels of the help, in their order
_PANELS = (
    "Search", "Network and data", "Stream", "Arrivals", "Rule", "Training", "Schedule", "Engine", "Emulation",
    "Simulation", "Measurement", "Many devices", "Output", "Other",
)  # fmt: skip
# These options come first in their panels
_COMMON = ("dataset", "network", "rule", "epochs", "lr", "schedule", "engine", "stages", "devices")


def with_options(
    kind: type[Group], fields: Iterable[str] | None = None, defaults: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command an option for each field of `kind`. The command gets as `**given` those that were given.

    fields: only these fields. defaults: those that differ from the fields' own, for the help.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        parameters = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        optional = {name: _parameter(kind, name, (defaults or {}).get(name)) for name in fields or kind.model_fields}

        @functools.wraps(command)
        def with_given(**values: Any) -> None:
            command(**{name: value for name, value in values.items() if name not in optional or value is not None})

        set_parameters(with_given, sorted([*parameters, *optional.values()], key=_place))
        return with_given

    return decorate


def _parameter(kind: type[Group], name: str, default: Any) -> inspect.Parameter:
    """The option for a field of `kind`. default: the one that the help shows, if it is not the field's."""
    field = kind.model_fields[name]
    option = f"--{name.replace('_', '-')}"
    # numbers stay text here: pydantic reads them, and its errors name the option and the value
    type_ = bool if kind.switches(name) else str
    annotation: Any = Annotated[
        type_ | None,
        typer.Option(
            *([f"{option}/--no-{option[2:]}"] if type_ is bool else [option]),
            help=with_default(field.description or "", field.default if default is None else default),
            show_default=False,
            metavar=value_name(field.annotation),
            rich_help_panel=kind.panel_of(name),
            autocompletion=_completion(field),
        ),
    ]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _place(parameter: inspect.Parameter) -> tuple[int, int]:
    """Where the help shows an option: arguments come first, then panel after panel, each with its common ones first."""
    if parameter.kind is not parameter.KEYWORD_ONLY:
        return -1, 0
    (option,) = parameter.annotation.__metadata__
    common = _COMMON.index(parameter.name) if parameter.name in _COMMON else len(_COMMON)
    return _PANELS.index(option.rich_help_panel), common


def _completion(field: FieldInfo) -> Callable[[str], list[str]] | None:
    """What a shell offers to complete: the words that the field allows, or its examples."""
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else field.examples
    return (lambda incomplete: [word for word in words if word.startswith(incomplete)]) if words else None


def name_written(paths: Iterable[Path | None]) -> None:
    """Names on stderr the files that a command has written; None stands for one that was not asked for."""
    if written := [str(path) for path in paths if path is not None]:
        print(f"written: {', '.join(written)}", file=sys.stderr)


def show(summary: dict[str, Any], as_json: bool, title: str) -> None:
    """Prints a summary on stdout: as one JSON object, or as a table."""
    if as_json:
        print(json.dumps(summary))
        return
    from rich.console import Console

    Console().print(_table(summary, title))


def _table(summary: dict[str, Any], title: str) -> Table:
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in summary.items():
        if key == "rule_options" or (key == "rule" and "rule_text" in summary):
            continue  # the text says it shorter
        if isinstance(value, dict):
            value = "  ".join(f"{k} {v}" for k, v in value.items())
        text = {"test_accuracy": "{} %", "wall_seconds": "{} s"}.get(key, "{}").format("-" if value is None else value)
        table.add_row(key.replace("_", " "), text)
    return table
