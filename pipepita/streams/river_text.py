"""How a stream of river is written: SEA, or SEA(variant=1,noise=0.1), with values as in JSON."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pipepita.errors import UserError, unknown

_NAME = re.compile(r"\s*(\w+)\s*(?:\((.*)\)\s*)?", re.DOTALL)
_OPTION = re.compile(r"\s*([^\W\d]\w*)\s*=\s*")
_BARE_WORD = re.compile(r"[^\s,()\[\]{}\"'=]+")
_SEPARATOR = re.compile(r"\s*(?:,|$)")
_PYTHON_WORDS = {"True": True, "False": False, "None": None}  # people copy them from river's pages


def read(text: str) -> tuple[str, dict[str, Any]]:
    """The class and the options that `text` names. Nothing is evaluated.

    A value is JSON (true, false, null, a number, a quoted text), or a bare word, which is a text.

    Raises:
        UserError: It cannot be read.

    Example:
        >>> read("Agrawal(balance_classes=false,perturbation=0.1)")
        ('Agrawal', {'balance_classes': False, 'perturbation': 0.1})
    """
    try:
        whole = _NAME.fullmatch(text)
        if whole is None:
            raise ValueError
        return whole[1], _options(whole[2] or "")
    except (ValueError, RecursionError):
        raise UserError(
            f"river:{text} cannot be read: write it like river:SEA or river:SEA(variant=1,noise=0.1)"
        ) from None


def _options(text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    place = 0
    while text[place:].strip():
        key = _OPTION.match(text, place)
        if key is None or key[1] in options:
            raise ValueError
        options[key[1]], place = _value(text, key.end())
        separator = _SEPARATOR.match(text, place)
        if separator is None:
            raise ValueError
        place = separator.end()
    return options


def _value(text: str, place: int) -> tuple[Any, int]:
    """The value that begins at `place`, and where it ends."""
    word = _BARE_WORD.match(text, place)
    try:
        value, end = json.JSONDecoder(parse_constant=_refuse).raw_decode(text, place)
    except ValueError:
        end = -1
    if word is None:
        if end < 0:
            raise ValueError
        return value, end
    if end == word.end():
        return value, end
    return _PYTHON_WORDS.get(word[0], word[0]), word.end()  # like 1a, whose beginning alone is JSON


def _refuse(constant: str) -> Any:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def check(kind: str, options: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    """`UserError` for an option that river's class `kind` does not have, or a value unlike that option's default."""
    for option, value in options.items():
        if option not in parameters:
            if not parameters:
                raise UserError(f"river:{kind} takes no options, but {option} was given: write river:{kind}")
            raise unknown(f"option of river:{kind}", option, parameters)
        default = parameters[option].default
        right = _RIGHT.get(type(default))
        if right is not None and not right[0](value):
            usual = json.dumps(default)
            raise UserError(f"river:{kind}: {option} {value!r} is not {right[1]}: river's default is {usual}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


# type of the default: (whether a value will do, what would)
_RIGHT: dict[type, tuple[Any, str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (_whole, "a whole number"),
    float: (_number, "a number"),
    str: (lambda value: isinstance(value, str), "a text"),
}
