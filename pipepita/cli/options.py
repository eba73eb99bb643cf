"""What commands share: options made from the fields of `Job`, and results as JSON or as a table."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipepita.runs.job import Job, Options

if TYPE_CHECKING:
    from rich.table import Table

JSON_HELP = "print exactly one JSON object on stdout"


def with_job_options(
    fields: Iterable[str] = tuple(Job.model_fields),
    defaults: Mapping[str, Any] | None = None,
    kind: type[Options] = Job,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command an option for each of these fields of `kind`; it gets those that were given as `**given`.

    defaults: the command's own where they differ from the field's, for the help.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return _decorated(command, {name: kind.model_fields[name] for name in fields}, defaults or {})

    return decorate


def _decorated(
    command: Callable[..., None], fields: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Callable[..., None]:
    parameters = [
        p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    for name, field in fields.items():
        option = f"--{name.replace('_', '-')}"
        # numbers stay text here: pydantic reads them, and its errors name the value
        kind = bool if field.annotation in (bool, bool | None) else str
        names = [f"{option}/--no-{option[2:]}"] if kind is bool else [option]
        value = defaults.get(name, field.default)
        # not in brackets, which the help would take for markup
        default = "" if value is None or kind is bool else f" (default: {value})"
        annotation: Any = Annotated[
            kind | None,
            typer.Option(
                *names, help=f"{field.description}{default}", show_default=False, metavar=_metavar(field.annotation)
            ),
        ]
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _metavar(annotation: Any) -> str | None:
    words = {bool: None, bool | None: None, int: "N", int | None: "N", float: "X", float | None: "X"}
    return words.get(annotation, "TEXT")


def show(summary: dict[str, Any], as_json: bool, title: str) -> None:
    """A summary on stdout: one JSON object, or a table."""
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
        if isinstance(value, dict):
            value = "  ".join(f"{k} {v}" for k, v in value.items())
        text = {"test_accuracy": "{} %", "wall_seconds": "{} s"}.get(key, "{}").format("-" if value is None else value)
        table.add_row(key.replace("_", " "), text)
    return table
