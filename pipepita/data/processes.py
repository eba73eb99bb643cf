"""Worker processes: how they begin and end.

The workers are started afresh ("spawn"). A fork would copy this process in the middle of what its other threads do
(Ray's, the channels', torch's), with locks that nobody opens in the copy. It would also keep our ends of the channels
open, so that other stages would not notice our death. A process that is started afresh usually runs the main script
again, which has to guard itself. That is not needed here, because the data sets are sent with all that they need.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import types
from collections.abc import Iterator
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any


def begin(worker: int) -> None:
    """What a worker that reads items does first."""
    end_with_parent()


def end_with_parent() -> None:
    """In a new worker: it is to end with the process that started it, however that ends."""

    def end_with(parent: Any) -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


class Processes(SpawnContext):
    """Starts processes that do not run the main script again. started: all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = _Fresh(*args, **options)
        self.started.append(process)
        return process


class _Fresh(SpawnProcess):
    def start(self) -> None:
        with _no_main_script():
            super().start()


@contextlib.contextmanager
def _no_main_script() -> Iterator[None]:
    """A new process is told to import the main script, unless there seems to be none."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
