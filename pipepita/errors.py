"""The errors that people see: one line each, naming the thing, its value and what would be right.

`UserError` is the caller's mistake (exit code 2); `RunError` is a failure of a run (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PipepitaError(Exception):
    """Base of every error that pipepita raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UserError(PipepitaError):
    """Something that was asked for cannot be: a name, a shape, a value, a file."""

    exit_code = 2


class RunError(PipepitaError):
    """A run that began could not go on."""


class Diverged(RunError):
    """A weight or an output stopped being finite."""


class StageDied(RunError):
    """An actor, its process or its node went away. stage: which, where that is known."""

    def __init__(self, text: str, stage: int | None = None) -> None:
        super().__init__(text)
        self.stage = stage


class ChannelClosed(RunError):
    """The other end of a channel is gone."""


class Malformed(ChannelClosed):
    """Something came over a channel that no stage of ours would send, so it was closed."""


def unknown(what: str, value: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not in a table, with the nearest name that is."""
    names = sorted(known)
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {what} {value!r}: one of {', '.join(names)}{hint}")
