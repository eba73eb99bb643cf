"""Records what a stage does when: a lap at the end of each thing it does, into memory allocated once.

A stage's loop does one thing after the other, so its laps tile the time: each span begins where the last one ended.

    | receive S7 | standard, layer 1 | layer 2 | send S7 | receive M6 | modulated, layer 1 | ... | update, layer 1 | ...
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

RECEIVE, PASS, UPDATE, SEND, OTHER = range(5)
PHASES = ("receive", "pass", "update", "send", "other")
_ROW = struct.Struct("6q")
_DTYPE = np.dtype([(field, np.int64) for field in ("phase", "name", "layer", "step", "begin", "end")])


@dataclass(frozen=True)
class Spans:
    """What one stage recorded, oldest first.

    rows: a structured array of phase (index into `PHASES`), name (index into `names`, the passes), layer (its number;
    0 where the span is not one layer's), step, begin and end (nanoseconds of the host's monotonic clock).
    """

    names: tuple[str, ...]
    rows: np.ndarray[Any, Any]

    def of(self, phase: int, name: str | None = None, layer: int | None = None) -> np.ndarray[Any, Any]:
        """The rows of one phase, and where given of one pass and one layer."""
        chosen = self.rows["phase"] == phase
        if name is not None:
            chosen &= self.rows["name"] == (self.names.index(name) if name in self.names else -1)
        if layer is not None:
            chosen &= self.rows["layer"] == layer
        return self.rows[chosen]

    def shifted(self, nanoseconds: int) -> Spans:
        """The same on a clock that is `nanoseconds` ahead."""
        rows = self.rows.copy()
        rows["begin"] += nanoseconds
        rows["end"] += nanoseconds
        return Spans(self.names, rows)


class Recorder:
    """Keeps the latest `capacity` spans (48 bytes each). A lap takes about a third of a microsecond."""

    def __init__(self, capacity: int) -> None:
        self._memory = bytearray(_ROW.size * capacity)
        self._capacity, self._count, self._last = capacity, 0, 0
        self._names: dict[str, int] = {}

    def start(self) -> None:
        """The first span begins now."""
        self._last = time.perf_counter_ns()

    def lap(self, phase: int, name: str, step: int, layer: int = 0) -> None:
        """A span from the last lap until now."""
        names, now = self._names, time.perf_counter_ns()
        if name not in names:
            names[name] = len(names)
        _ROW.pack_into(
            self._memory,
            _ROW.size * (self._count % self._capacity),
            phase, names[name], layer, step, self._last, now,
        )  # fmt: skip
        self._count += 1
        self._last = now

    def spans(self) -> Spans:
        """What was recorded so far."""
        rows = np.frombuffer(bytes(self._memory), _DTYPE)
        rows = np.roll(rows, -(self._count % self._capacity)) if self._count > self._capacity else rows[: self._count]
        return Spans(tuple(self._names), rows)


class Silent(Recorder):
    """Records nothing."""

    def __init__(self) -> None:
        super().__init__(1)

    def start(self) -> None:
        """Nothing."""

    def lap(self, phase: int, name: str, step: int, layer: int = 0) -> None:
        """Nothing."""


def stage_recorder(samples: int, layers: int) -> Recorder:
    """A recorder for the latest `samples` samples of a stage of `layers` layers, or for 0 one that records nothing."""
    # a sample is two receives, two sends, and two passes and an update a layer
    return Recorder(samples * (3 * layers + 4)) if samples else Silent()


def coordinator_recorder(samples: int) -> Recorder:
    """The same for the coordinator."""
    # getting ready and sending the sample; getting ready, receiving the output, making and sending the error
    return Recorder(samples * 6) if samples else Silent()
