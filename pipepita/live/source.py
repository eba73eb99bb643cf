"""A source gives items or lines, in a thread of its own, and puts them into the inbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from pipepita.live.inbox import Inbox
from pipepita.live.items import Given, Line, Parser, Refused
from pipepita.live.journal import Journal
from pipepita.live.lines import lines

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
