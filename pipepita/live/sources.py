"""Where items come from: standard input, a TCP connection, an MQTT broker, a stream by name, or any iterable.

A source puts what it reads into the inbox, in a thread of its own. A new source is one class here and one entry in
`KINDS`.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from torch import Tensor

from pipepita.edge.arrivals import times
from pipepita.errors import RunError, UserError, unknown
from pipepita.live.inbox import Inbox
from pipepita.live.items import Given, Line, Parser, Refused
from pipepita.live.journal import Journal
from pipepita.live.lines import lines
from pipepita.streams.items import Item

_CONNECT_SECONDS = 10.0

# (number of the line, what is wrong with it)
Complain = Callable[[int, Refused], None]


class Source(Protocol):
    """Gives items until it ends."""

    def feed(self, inbox: Inbox) -> None:
        """Puts everything into `inbox`. Returns at the end, or if nothing more is wanted.

        Raises:
            RunError: The source is lost.
        """

    def close(self) -> None:
        """Ends what `feed` waits for, if it can be ended."""


class Lines:
    """Lines of text. read: returns some bytes, none at the end. complain: told of each line that is too long.

    journal: keeps the lines.
    """

    def __init__(self, read: Callable[[int], bytes], complain: Complain) -> None:
        self._read, self._complain = read, complain
        self._count = 0
        self.journal: Journal | None = None

    def feed(self, inbox: Inbox) -> None:
        for group in lines(self._read):
            if not self._put(group, inbox):
                return

    def _put(self, group: Sequence[bytes | None], inbox: Inbox) -> bool:
        """Puts lines that came together into the inbox, once they are on the disk. Returns whether more is wanted.

        Nobody reads them here: two threads that compute would only keep each other waiting.
        """
        now, whole = time.perf_counter(), list[tuple[bytes, int]]()
        for line in group:
            self._count += 1
            if line is None:
                self._complain(self._count, Refused("a line of more than a megabyte"))
            elif line.strip():
                whole.append((line, self._count))
        if not whole:
            return True
        number = self.journal.add([line for line, _ in whole]) if self.journal is not None else 0
        return inbox.put(*(Line(line, place, now, kept) for kept, (line, place) in enumerate(whole, number)))

    def close(self) -> None:
        """Standard input cannot be woken up; its thread ends with the process."""


class Again:
    """Lines of the journal, which arrived before a run ended, and then what still comes.

    kept: by their numbers. source: what still comes.
    """

    def __init__(self, kept: Mapping[int, bytes], source: Source) -> None:
        self._kept, self._source = kept, source

    def feed(self, inbox: Inbox) -> None:
        now = time.perf_counter()
        if inbox.put(*(Line(line, number + 1, now, number) for number, line in self._kept.items())):
            self._source.feed(inbox)

    def close(self) -> None:
        self._source.close()


def reader(parser: Parser, complain: Complain) -> Callable[[Line], Given | None]:
    """Reads lines with `parser`. complain: told of each that is of no use."""

    def read(line: Line) -> Given | None:
        try:
            return replace(parser.read(line.text, line.at), number=line.number)
        except Refused as error:
            complain(line.place, error)
            return None

    return read


class Connection(Lines):
    """Lines from a TCP server, like those of a sensor's gateway. address: HOST:PORT. name: of the run."""

    def __init__(self, address: str, complain: Complain, name: str) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise UserError(f"source tcp:{address} is no address: write it like tcp:10.0.0.5:9000")
        try:
            self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"source tcp:{address} cannot be reached: {reason}") from None
        self._socket.settimeout(None)
        self._address = address
        super().__init__(self._some, complain)

    def _some(self, size: int) -> bytes:
        try:
            return self._socket.recv(size)
        except OSError as error:
            raise RunError(f"source tcp:{self._address} is lost: {error.strerror or error}") from None

    def feed(self, inbox: Inbox) -> None:
        with self._socket:
            super().feed(inbox)

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended already
            return


class Pairs:
    """Items of an iterable of (x, y), which have been checked; y may be None.

    rate: how many arrive per second, on average; None for as many as are taken. process, seed: as `arrivals.times`
    takes them. first: the number of the first item.
    """

    def __init__(
        self,
        items: Iterable[Item | tuple[Tensor, None]],
        rate: float | None = None,
        process: str = "poisson",
        seed: int = 0,
        first: int = 0,
    ) -> None:
        self._items, self._closed, self._first = items, False, first
        self._times: Iterator[float] | None = None if rate is None else times(rate, process, seed)

    def feed(self, inbox: Inbox) -> None:
        began = time.perf_counter()
        for number, (x, y) in enumerate(self._items, self._first):
            if self._times is not None:
                due = began + next(self._times)
                while not self._closed and (left := due - time.perf_counter()) > 0:
                    time.sleep(min(left, 0.1))
            if self._closed or not inbox.put(Given(None, x, y, time.perf_counter(), number)):
                return

    def close(self) -> None:
        self._closed = True


def _standard_input(rest: str, complain: Complain, name: str) -> Lines:
    if rest:
        raise UserError(f"source -{rest}: standard input is written -")
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
