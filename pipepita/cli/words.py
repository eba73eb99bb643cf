"""What the help says of every option beside its meaning: what its value is called, and its default."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from typer.models import OptionInfo

JSON_HELP = "print exactly one JSON object on stdout"

# A flag has no value
_NAMES = {bool: "", int: "N", float: "X", Path: "PATH", list: "KEY=VALUE"}


def value_name(annotation: Any) -> str:
    """What a value of this type is called, which may also be None."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    kind = next(kind for kind in kinds if kind is not types.NoneType)
    return _NAMES.get(get_origin(kind) or kind, "TEXT")


def with_default(text: str, default: Any) -> str:
    """`text` and the default, if there is one. Not in brackets, which the help would take for markup."""
    if default is None:
        return text
    said = {True: "yes", False: "no"}[default] if isinstance(default, bool) else f"{default}"
    return f"{text} (default: {said})"


def with_words(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, whose own options say this, too."""
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
    """Lets typer see these instead of the function's own."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
