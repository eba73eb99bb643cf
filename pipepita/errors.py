"""The errors that people see: one line each, which names the thing, its value and what would be right.

`UserError` is a mistake of the caller (exit code 2). `RunError` is the failure of a run (exit code 1).
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from typing import Self


class PipepitaError(Exception):
    """The base of all errors that pipepita raises on purpose. `exit_code` is what the command line returns.

    Example:
        >>> import pipepita as pp
        >>> try:
        ...     pp.load("mnits")
        ... except pp.PipepitaError as error:
        ...     print(type(error).__name__, error.exit_code)
        UserError 2
    """

    exit_code = 1

    def saying(self, text: str) -> Self:
        """The same error with another message.

        Example:
            >>> StageDied("stage 1 died", stage=0).saying("stage 1 died (restarted once)").stage
            0
        """
        error = copy.copy(self)
        error.args = (text,)
        return error


class UserError(PipepitaError):
    """A mistake of the caller: an unknown name, a shape that does not fit, a value out of bounds, a missing file.

    Example:
        >>> import pipepita as pp
        >>> pp.Pepita(modulate="al")
        Traceback (most recent call last):
            ...
        pipepita.errors.UserError: unknown modulate 'al': did you mean 'all'? It is one of all, auto, input
    """

    exit_code = 2


class RunError(PipepitaError):
    """A run that had begun could not go on: it diverged, a stage died, a file could not be written.

    Example:
        >>> issubclass(Diverged, RunError), issubclass(StageDied, RunError), RunError.exit_code
        (True, True, 1)
    """


class Diverged(RunError):
    """A weight or an output of the network became NaN or infinite. The message says what to change.

    Example:
        >>> import pipepita as pp
        >>> try:
        ...     _ = pp.train(pp.build("fc:8", (1, 8, 8), 10), pp.load("digits"), engine="local", lr=1e30)
        ... except pp.Diverged as error:
        ...     print(str(error).split("; ")[1].partition(" (")[0])
        try a lower lr than 1e+30
    """


class StageDied(RunError):
    """A stage was lost: its actor, its process or its node is gone, or does not answer.

    Args:
        text: The message, one line.
        stage: The index of the stage, from 0; None if it is not known.

    Example:
        >>> StageDied("stage 1 (layer 2) died: its process or node is gone", 1).stage
        1
    """

    def __init__(self, text: str, stage: int | None = None) -> None:
        super().__init__(text)
        self.stage = stage


class ClusterDied(RunError):
    """The embedded Ray cluster lost one of its processes, and all actors with it."""


class ChannelClosed(RunError):
    """The other end of a channel is gone."""


class Malformed(ChannelClosed):
    """A channel was closed because something came over it that no stage of ours would send."""


def unknown(what: str, value: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not one of `known`. It suggests the most similar one, and lists them."""
    names = sorted(known)
    similar = difflib.get_close_matches(str(value), names, n=1)
    hint = f"did you mean {similar[0]!r}? It is " if similar else ""
    return UserError(f"unknown {what} {value!r}: {hint}one of {', '.join(names)}")
