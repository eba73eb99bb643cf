"""How a stage is, while it works: what a heartbeat brings."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Pulse:
    """pid: of its process. step: the sample of its latest message, -1 before the first. queue: messages that wait.

    busy: the share of the time since the last pulse in which it did not wait for a message. memory: resident bytes.
    """

    pid: int
    step: int
    queue: int
    busy: float
    memory: int


@dataclass(frozen=True)
class Place:
    """Where a process runs. host: what it shares memory with (`transports.host`). address, node: its node's, and id."""

    host: str
    address: str
    cores: int
    pid: int
    node: str = ""


class Vitals:
    """Keeps count of a loop's waiting, for its pulses. The loop calls `waits` and `goes_on`, another thread `pulse`."""

    def __init__(self) -> None:
        self._step, self._waited = -1, 0.0
        self._idle_since: float | None = time.perf_counter()
        self._told = (time.perf_counter(), 0.0)  # when the last pulse was, and what had been waited until then

    def waits(self) -> None:
        """The loop begins to wait."""
        self._idle_since = time.perf_counter()

    def goes_on(self, step: int) -> None:
        """A message of sample `step` has come."""
        if self._idle_since is not None:
            self._waited += time.perf_counter() - self._idle_since
        self._step, self._idle_since = step, None

    def pulse(self, queue: int) -> Pulse:
        """How things are. queue: messages that wait."""
        now, idle_since = time.perf_counter(), self._idle_since
        waited = self._waited + (0.0 if idle_since is None else now - idle_since)
        (before, waited_before), self._told = self._told, (now, waited)
        idle = (waited - waited_before) / max(now - before, 1e-9)
        return Pulse(os.getpid(), self._step, queue, min(1.0, max(0.0, 1 - idle)), resident())


def resident() -> int:
    """Bytes of memory that this process has in use; 0 where the system does not say."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if _STATM.exists() else 0
