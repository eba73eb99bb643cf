"""Reads options from a TOML file, by name and as assignments, and says in one line what is wrong with them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipepita.errors import UserError
from pipepita.runs.options.group import Group
from pipepita.runs.options.job import Job

_BITS = 63  # the most that a whole number may have, as TOML asks


def read_job(path: Path | None, given: dict[str, Any], assignments: list[str], kind: type[Group] = Job) -> Any:
    """Reads a job, of class `kind`. Options in `given` override those of the TOML file, `key=value` assignments both.

    `UserError` if the file is missing or is not TOML, or if an option is unknown or wrong.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = _loaded(path.read_text())
        except FileNotFoundError:
            raise UserError(f"job file {path} does not exist") from None
        except (OSError, ValueError) as error:  # not text, not TOML
            raise UserError(f"job file {path} cannot be read: {error}") from None
    for key in values:
        if "-" in key and key.replace("-", "_") in values:
            raise UserError(f"job file {path} has both {key} and {key.replace('-', '_')}: leave one out")
    values = {key.replace("-", "_"): value for key, value in values.items()}
    return checked(kind, values | read_changes(given, assignments))


def read_changes(given: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Options given by name. `key=value` assignments override them; `UserError` if one lacks the "="."""
    values = dict(given)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment!r} is not key=value")
        values[key.strip().replace("-", "_")] = value_of(text.strip())
    return values


def checked(kind: type[Group], values: dict[str, Any]) -> Any:
    """Makes `kind` of `values`. A `UserError` of one line names the first option that is wrong, its value and why."""
    for name, value in values.items():
        if name not in kind.model_fields:
            raise kind.unknown(name)
        if isinstance(value, int) and value.bit_length() > _BITS:
            raise UserError(f"{name} is a number of {value.bit_length()} bits: at most {_BITS}")
        if isinstance(value, bool) and not kind.switches(name):
            raise UserError(f"{name} {str(value).lower()}: it takes a value, it is not switched on or off")
        if isinstance(value, str) and "\0" in value:
            raise UserError(f"{name} {value!r} holds a null character: leave it out")
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{where} {_shown(first['input'])}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
    except OSError as error:  # a path too long to look at
        raise UserError(f"{error.filename!r}: {error.strerror}") from None
    except UserError as error:  # a value may hold line breaks or move the terminal's cursor: show what it holds
        raise UserError("".join(c if c.isprintable() else repr(c)[1:-1] for c in str(error))) from None


def _shown(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return "(too large to show)"


def value_of(text: str) -> Any:
    """A TOML value, or the text itself: `lr=0.05` is a number, `network=fc:256` a string."""
    try:
        return _loaded(f"value = {text}")["value"]
    except ValueError:
        return text


def _loaded(text: str) -> dict[str, Any]:
    """Reads TOML. `ValueError` if it is not TOML, or if a number is too long or a table too deep for Python."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
