"""The sources of lines by name: standard input, a TCP connection, a topic of an MQTT broker.

A new source is one class, in a file of its own, and one entry in `KINDS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial

from pipepita.errors import UserError, unknown
from pipepita.live.source import Complain, Lines
from pipepita.live.tcp import Connection


def _standard_input(rest: str, complain: Complain, name: str) -> Lines:
    if rest:
        raise UserError(f"source -{rest}: standard input is written -")
    if sys.stdin is None:
        raise UserError("source -: standard input is closed; name another source")
    return Lines(partial(os.read, sys.stdin.fileno()), complain)


def _topic(rest: str, complain: Complain, name: str) -> Lines:
    from pipepita.live.mqtt import Topic

    return Topic(rest, complain, name)


KINDS: dict[str, Callable[[str, Complain, str], Lines]] = {
    "-": _standard_input,
    "tcp:": Connection,
    "mqtt:": _topic,
}


def check(text: str) -> None:
    """Raises `UserError` if `text` names no source of lines."""
    if not any(text.startswith(kind) for kind in KINDS):
        raise unknown("source", text, ["-", "tcp:HOST:PORT", "mqtt:HOST/TOPIC"])


def open_source(text: str, complain: Complain, name: str = "online") -> Lines:
    """The source that `text` names. name: of the run. `UserError` if there is none, or it cannot be reached."""
    check(text)
    kind = next(kind for kind in KINDS if text.startswith(kind))
    return KINDS[kind](text.removeprefix(kind), complain, name)
