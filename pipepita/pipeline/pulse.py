"""What a stage reports about itself while it works."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Pulse:
    """One report.

    Attributes:
        pid: The id of the stage's process.
        step: The sample of its latest message; -1 before the first.
        queue: How many messages wait to be received.
        busy: The share of the time since the last report, from 0 to 1, in which it did not wait for a message.
        memory: How many bytes of memory the process has in use.
    """

    pid: int
    step: int
    queue: int
    busy: float
    memory: int


@dataclass(frozen=True)
class Place:
    """Where a process runs.

    Attributes:
        host: Equal for processes that can share memory (`transports.host`).
        address: The address of its node.
        cores: How many cores it may use.
        pid: The id of the process.
        namespace: In which its id means that process. Containers have their own.
        node: The id of its node.
    """

    host: str
    address: str
    cores: int
    pid: int
    namespace: str
    node: str = ""

    @classmethod
    def here(cls, host: str, address: str, cores: int, node: str = "") -> Self:
        """That of this process."""
        return cls(host, address, cores, os.getpid(), _namespace(), node)

    def is_known_here(self) -> bool:
        """Whether its id means the same process here."""
        return self.namespace == _namespace()


@functools.cache
def _namespace() -> str:
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return f"{boot.read_text().strip()} {namespace.readlink()}" if namespace.exists() else str(os.getpid())


class Vitals:
    """Measures how long a loop waits, for its reports. The loop calls `waits` and `goes_on`, another thread `pulse`."""

    def __init__(self) -> None:
        self._step, self._waited = -1, 0.0
        self._idle_since: float | None = time.perf_counter()
        self._told = (time.perf_counter(), 0.0)  # when the last report was, and how long the loop had waited until then

    def waits(self) -> None:
        """The loop begins to wait for a message."""
        self._idle_since = time.perf_counter()

    def goes_on(self, step: int) -> None:
        """A message of sample `step` has arrived."""
        if self._idle_since is not None:
            self._waited += time.perf_counter() - self._idle_since
        self._step, self._idle_since = step, None

    def pulse(self, queue: int) -> Pulse:
        """A report; `queue` messages wait to be received."""
        now, idle_since = time.perf_counter(), self._idle_since
        waited = self._waited + (0.0 if idle_since is None else now - idle_since)
        (before, waited_before), self._told = self._told, (now, waited)
        idle = (waited - waited_before) / max(now - before, 1e-9)
        return Pulse(os.getpid(), self._step, queue, min(1.0, max(0.0, 1 - idle)), resident())


def resident() -> int:
    """How many bytes of memory this process has in use; 0 if the system does not say."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if _STATM.exists() else 0
