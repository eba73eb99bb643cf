"""What a run may leave behind: processes and shared memory. Tests run side by side, so each looks at its own only."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

SHARED = Path("/dev/shm")


def processes_of(folder: str) -> list[str]:
    """Command lines that mention `folder`."""
    commands = [_text(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [text for text in commands if folder in text]


def left_of(folder: str, seconds: float = 60.0) -> list[str]:
    """Command lines of processes whose environment mentions `folder`, and that do not end within so many seconds.

    Workers say nothing else of where they belong. One that has just begun imports torch before it asks for its parent,
    which takes long on a busy machine.
    """
    until = time.monotonic() + seconds
    while True:
        environments = Path("/proc").glob("[0-9]*/environ")
        left = [_text(path.parent / "cmdline") for path in environments if folder in _text(path)]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.1)


def actors_of(folder: str) -> list[int]:
    """The processes of stages whose run has `folder` as its TMPDIR."""
    ours = [path.parent for path in Path("/proc").glob("[0-9]*/environ") if f"TMPDIR={folder} " in _text(path)]
    return [int(path.name) for path in ours if _text(path / "cmdline").startswith("ray::StageActor")]


def shared_memory() -> set[Path]:
    """The names of the shared memory on this machine."""
    return set(SHARED.iterdir())


def forgotten(before: set[Path], seconds: float = 5) -> list[Path]:
    """Shared memory of ours that is new since `before` and that no other process holds, after at most `seconds`."""
    deadline = time.monotonic() + seconds
    left: list[Path] = []
    while (left := _unheld(shared_memory() - before)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def _unheld(files: set[Path]) -> list[Path]:
    held, mapped = set[str](), set[int]()  # mapped: inodes, as the C library maps a semaphore under another name
    for process in Path("/proc").glob("[0-9]*") if files else ():
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            maps = (process / "maps").read_text().splitlines()
            mapped.update(int(line.split()[4]) for line in maps if "/dev/shm/" in line)
            held.update(str(file.readlink()) for file in (process / "fd").iterdir())
    return [path for path in files if str(path) not in held and _ours(path, mapped)]


def _ours(path: Path, mapped: set[int]) -> bool:
    try:
        about = path.stat()
    except FileNotFoundError:
        return False
    return about.st_uid == os.geteuid() and about.st_ino not in mapped


def _text(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
