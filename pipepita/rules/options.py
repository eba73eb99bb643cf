"""A rule's options are the fields of its dataclass. Their values are checked against their types, or read from text."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from pipepita.errors import UserError, unknown

_BITS = 63  # a whole number has at most so many, as in TOML
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", NoneType: "null"}


class _Unfit(Exception):
    """A value is not of the type that it should be."""


def options(kind: type) -> dict[str, Field[Any]]:
    """The options of a rule's class, by name and in order."""
    return {field.name: field for field in fields(kind) if field.init} if is_dataclass(kind) else {}


def check(rule: Any) -> None:
    """Raises `UserError` for the first option of `rule` whose value is not of its type."""
    types = _types(type(rule))
    for name in options(type(rule)):
        _fitting(name, getattr(rule, name), types[name])


def fitted(kind: type, name: str, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
    """Checks and converts `given` to what the class of a rule takes.

    Args:
        kind: The class of the rule.
        name: What errors call the rule.
        given: The values of some options.
        text: Whether the values are text, as on the command line. A text is read as JSON if that gives a value of the
            option's type; otherwise it is the value itself.

    Returns:
        The keyword arguments for `kind`.

    Raises:
        UserError: The rule does not have an option, lacks one that has no default, or a value is not of its type.
    """
    known, types = options(kind), _types(kind)
    values = {}
    for option, value in given.items():
        if option not in known:
            if not known:
                raise UserError(f"rule {name} has no options, but {option} {_shown(value)} was given")
            raise UserError(f"rule {name}: {unknown('option', option, known)}")
        try:
            values[option] = (_read if text else _fitting)(option, value, types[option])
        except UserError as error:
            raise UserError(f"rule {name}: {error}") from None
    for option, field in known.items():
        if option not in values and field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"rule {name} needs its option {option}: write it like {name}:{option}=...")
    return values


def _read(option: str, text: str, kind: Any) -> Any:
    try:
        return _fit(json.loads(text), kind)
    except (ValueError, RecursionError, _Unfit):
        return _fitting(option, text, kind)


def _fitting(option: str, value: Any, kind: Any) -> Any:
    try:
        return _fit(value, kind)
    except _Unfit:
        pass
    if get_origin(kind) is Literal and isinstance(value, str):
        raise unknown(option, value, map(str, get_args(kind)))
    raise UserError(f"{option} {_shown(value)} is not {_in_words(kind)}")


def _fit(value: Any, kind: Any) -> Any:
    """`value` as a `kind`. Raises `_Unfit` if it is not one; other types than those here are not checked."""
    if kind is Any:
        return value
    if get_origin(kind) is Literal:
        if any(type(value) is type(one) and value == one for one in get_args(kind)):
            return value
        raise _Unfit
    if get_origin(kind) in (typing.Union, UnionType):
        return _first(value, get_args(kind))
    if kind in (int, float) and type(value) is int:
        return kind(_small(value))
    if kind in _WORDS and (not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool)):
        raise _Unfit
    if get_origin(kind) is tuple or kind is tuple:
        if not isinstance(value, list | tuple):
            raise _Unfit
        return tuple(value)
    return value


def _first(value: Any, kinds: tuple[Any, ...]) -> Any:
    for kind in kinds:
        try:
            return _fit(value, kind)
        except _Unfit:
            continue
    raise _Unfit


def _fits(value: Any, kind: Any) -> bool:
    try:
        _fit(value, kind)
    except _Unfit:
        return False
    return True


def _small(value: int) -> int:
    if value.bit_length() > _BITS:
        raise _Unfit
    return value


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        values = ", ".join(map(str, get_args(kind)))
        return f"one of {values}" if len(get_args(kind)) > 1 else values
    if get_origin(kind) in (typing.Union, UnionType):
        return " or ".join(_in_words(one) for one in get_args(kind))
    if kind is tuple or get_origin(kind) is tuple:
        return "a list"
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def described(field: Field[Any], kind: type) -> str:
    """The default of an option and its other values: `form=difference (or textbook, stash)`."""
    hint = _types(kind)[field.name]
    default = field.default if field.default is not MISSING else "..."
    if get_origin(hint) is Literal:
        others = [str(value) for value in get_args(hint) if value != default]
        return f"{field.name}={default} (or {', '.join(others)})"
    shown = f"{field.name}={json.dumps(default) if isinstance(default, bool) else default}"
    if get_origin(hint) in (typing.Union, UnionType) and default != "...":
        others = [_in_words(one) for one in get_args(hint) if not _fits(default, one)]
        return f"{shown} (or {' or '.join(others)})"
    return shown


def _types(kind: type) -> dict[str, Any]:
    """The type of each option; `Any` if it cannot be resolved, as in a process that lacks the rule's module."""
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, AttributeError, TypeError):
        hints = {}
    return {name: hints.get(name, Any) for name in options(kind)}


def _shown(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return "(too large to show)"


def check_rate(rule: Any, name: str) -> None:
    """Raises `UserError` unless the option `name` of `rule` is a learning rate: finite, and at least 0."""
    if not 0 <= getattr(rule, name) < float("inf"):
        raise UserError(f"{name} {getattr(rule, name)} is not a finite number of at least 0")
