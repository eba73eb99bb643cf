"""What the folder of an online run keeps beside its checkpoints: the lines since the last one, and all predictions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from pipepita.errors import RunError
from pipepita.live.entry import Prediction, as_lines
from pipepita.live.inbox import Inbox
from pipepita.live.journal import Journal
from pipepita.live.past import JOURNAL, PREDICTIONS, Past
from pipepita.live.source import Lines


class Record:
    """Writes a run's journal and its predictions.

    A prediction is written into the folder before anybody gets it. So after a run has died and goes on, those that are
    there are not made known again.

    Args:
        out: Gets the predictions, as lines of JSON.
        lines: The source whose lines are kept; None if it can be asked for its items again.
        past: What has happened before: the number of the next line, and which predictions have been made known.
        checkpoints: How many stay. What any of them needs is kept, since the last one may be damaged.
        names: The labels that are texts, in the order of their classes, so far.

    Raises:
        RunError: In its methods: a file, or `out`, cannot be written.
        BrokenPipeError: In `predicted`: nobody reads `out` any more.
    """

    def __init__(
        self,
        out: TextIO,
        lines: Lines | None,
        past: Past,
        checkpoints: int,
        names: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._names = names
        self._out, self._lines, self._number, self._known = out, lines, past.number, past.known
        self._needed = deque([min(past.kept, default=0)], maxlen=checkpoints)
        self._journal: Journal | None = None
        self._file: TextIO | None = None

    def open(self, folder: Path, inbox: Inbox) -> None:
        """Begins to write into `folder`."""
        if self._lines is not None:
            journal = self._journal = self._lines.journal = Journal(folder / JOURNAL, self._number)
            inbox.on_drop = lambda given: journal.dropped(given.number)
        try:
            self._file = (folder / PREDICTIONS).open("a")
        except OSError as error:
            raise RunError(f"cannot write {folder / PREDICTIONS}: {error.strerror}") from None

    def predicted(self, predictions: Sequence[Prediction]) -> None:
        """Writes predictions, and then makes them known."""
        known = min(self._known, len(predictions))
        self._known -= known
        if not (predictions := predictions[known:]):
            return
        text = as_lines(predictions, self._names())
        if self._file is not None:
            try:
                self._file.write(text)
                self._file.flush()
            except OSError as error:
                raise RunError(f"cannot write {self._file.name}: {error.strerror}") from None
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise RunError(f"predictions cannot be written to standard output: {error.strerror}") from None

    def checkpoint(self, state: dict[str, Any]) -> None:
        """A checkpoint with this state of the feed is on the disk: what it holds need not be kept."""
        if self._journal is not None:
            self._needed.append(min([state["position"], *(number for _, number, _ in state["waiting"])]))
            self._journal.forget(min(self._needed))

    def close(self) -> None:
        """Ends the files."""
        if self._journal is not None:
            self._journal.close()
        if self._file is not None:
            self._file.close()
