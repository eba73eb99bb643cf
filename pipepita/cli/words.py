"""What the help says of every option in addition to its meaning: the name of its value, and its default."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from typer.models import OptionInfo

JSON_HELP = "print the result as one JSON object"

# The name of a value, by its type. A flag has no value.
_NAMES = {bool: "", int: "N", float: "X", Path: "PATH", list: "KEY=VALUE"}


def value_name(annotation: Any) -> str:
    """What a value of this type is called; None may be another value of it."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    kind = next(kind for kind in kinds if kind is not types.NoneType)
    return _NAMES.get(get_origin(kind) or kind, "TEXT")


def with_default(text: str, default: Any) -> str:
    """`text` and the default, if there is one. In round brackets: the help would take square ones for markup."""
    if default is None or default is inspect.Parameter.empty:
        return text
    said = {True: "yes", False: "no"}[default] if isinstance(default, bool) else f"{default}"
    return f"{text} (default: {said})"


def with_words(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, whose own options also have these names and defaults in the help."""
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    for parameter in parameters:
        kind, *about = get_args(parameter.annotation)
        for option in about:
            if isinstance(option, OptionInfo) and option.metavar is None:
                option.metavar = value_name(kind)
                option.help = with_default(option.help or "", None if parameter.default is False else parameter.default)
                option.show_default = False
    set_parameters(command, parameters)
    return command


def set_parameters(command: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Lets typer see these parameters instead of the function's own."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
