"""What arrived since the last checkpoint, on the disk: a source of lines cannot be asked for them again.

    RUN_DIR/journal/000000000000    the lines from number 0 on, as they came
                    000000001250    those from 1250 on; a new file begins at each checkpoint

A line is on the disk before it is learnt from. A file is removed once a checkpoint holds all that its lines have
taught, and none of its items waits for its label any more.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from pipepita.errors import RunError
from pipepita.files import sync

_DROPPED = b"#"  # is followed by the number of a line that was dropped
_ESCAPE = b"\\"  # stands before a line of input that begins with one of these two


class Journal:
    """Keeps lines.

    Args:
        folder: Where.
        number: The number of the next line.

    Raises:
        RunError: It cannot be written.
    """

    def __init__(self, folder: Path, number: int = 0) -> None:
        self._folder, self.number = folder, number
        self._lock = threading.Lock()  # lines come in one thread, and checkpoints are made in another
        with self._writing():
            folder.mkdir(exist_ok=True)
            self._handle = self._begin()

    def add(self, lines: Sequence[bytes]) -> int:
        """Writes lines, and waits until they are on the disk. Returns the number of the first one."""
        with self._writing(), self._lock:
            first, self.number = self.number, self.number + len(lines)
            self._write(b"".join(_escaped(line) + b"\n" for line in lines))
            os.fsync(self._handle)
            return first

    def dropped(self, number: int) -> None:
        """Line `number` was dropped: it is not to come again."""
        with self._writing(), self._lock:
            self._write(b"%s%d\n" % (_DROPPED, number))

    def forget(self, before: int) -> None:
        """Lines before number `before` are not needed any more. Begins a new file."""
        with self._writing(), self._lock:
            if not (self._folder / _name(self.number)).exists():
                os.close(self._handle)
                self._handle = self._begin()
            for file, following in pairwise(_files(self._folder)):
                if int(following.name) <= before:
                    file.unlink()

    def close(self) -> None:
        """Ends it. The files stay."""
        os.close(self._handle)

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:  # a disk that is nearly full takes a part of it
            rest = rest[os.write(self._handle, rest) :]

    def _begin(self) -> int:
        """Opens the file of the next line. If it was begun before, what was not written to its end is cut off."""
        file = self._folder / _name(self.number)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(handle, file.read_bytes().rfind(b"\n") + 1)
        sync(self._folder)
        return handle

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(f"cannot write {self._folder}: {error.strerror}") from None


def read(folder: Path) -> dict[int, bytes]:
    """All lines that are kept, by their numbers, without those that were dropped.

    A last one that was not written to its end is left out: nothing has been learnt from it.
    """
    lines, dropped = dict[int, bytes](), set[int]()
    for file in _files(folder):
        number = int(file.name)
        *whole, _ = file.read_bytes().split(b"\n")
        for line in whole:
            if line.startswith(_DROPPED):
                dropped.add(int(line[1:]))
            else:
                lines[number] = line.removeprefix(_ESCAPE)
                number += 1
    return {number: line for number, line in lines.items() if number not in dropped}


def _escaped(line: bytes) -> bytes:
    return _ESCAPE + line if line.startswith((_DROPPED, _ESCAPE)) else line


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.name.isdecimal()) if folder.is_dir() else []


def _name(number: int) -> str:
    return f"{number:012d}"
