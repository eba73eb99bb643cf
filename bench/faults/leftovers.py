"""What a run may not leave behind: processes, shared memory, sockets, temporary files."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_PATIENCE_SECONDS = 15.0  # for what cleans up after a coordinator that was killed


class Leftovers:
    """Compares what there is with what there was at first. folder: the TMPDIR of the runs, empty at first."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._before, self._listening = folder, self._shared(), _sockets()

    def remaining(self) -> list[str]:
        """What is still there after some patience; an empty list if nothing was left behind."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (left := self._now()) and time.monotonic() < deadline:
            time.sleep(0.25)
        return left

    def _now(self) -> list[str]:
        files = [str(path) for path in self._folder.rglob("*")]
        memory = sorted(self._shared() - self._before)
        alive = [f"process {pid}: {words[:80]}" for pid, words in processes(self._folder).items()]
        return files + memory + alive + sorted(_sockets() - self._listening)

    @staticmethod
    def _shared() -> set[str]:
        return {str(path) for path in Path("/dev/shm").iterdir()}


def processes(folder: Path) -> dict[int, str]:
    """Command lines, by process id, of other processes that name `folder` in theirs or have a file open in it."""
    commands = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if str(folder) in words or any(str(folder) in _target(link) for link in (process / "fd").iterdir()):
                commands[int(process.name)] = words
    commands.pop(os.getpid(), None)  # Ray's logs stay open in this process
    return commands


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _sockets() -> set[str]:
    """The abstract sockets of our channels on which some process listens."""
    return {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "@pipepita-" in line}
