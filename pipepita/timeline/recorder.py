"""Records what a stage does when: a lap at the end of each thing it does, into memory allocated once.

A stage's loop does one thing after the other, so its laps tile the time: each span begins where the last one ended.

    | receive S7 | standard, layer 1 | layer 2 | send S7 | receive M6 | modulated, layer 1 | ... | update, layer 1 | ...
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RECEIVE, PASS, UPDATE, SEND, OTHER = range(5)
PHASES = ("receive", "pass", "update", "send", "other")
_START = len(PHASES)  # not a span: the mark that the next one begins at
_LAP = struct.Struct("5q")
_LAP_DTYPE = np.dtype([(field, np.int64) for field in ("phase", "name", "layer", "step", "end")])
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
    """Keeps the latest `capacity` laps, 40 bytes each. A lap takes about a sixth of a microsecond.

    lap(phase, name, step, layer=0): a span from the last lap (or `start`) until now.
    """

    lap: Callable[..., None]

    def __init__(self, capacity: int) -> None:
        # a lap more than spans: each begins where the one before it ended
        self._memory = bytearray(_LAP.size * (capacity + 1))
        self._names: dict[str, int] = {}
        self._count = 0
        self.lap = self._make_lap()

    def _make_lap(self) -> Callable[..., None]:
        """A closure, which is quicker than a method: it runs several times a pass."""
        memory, names, size = self._memory, self._names, _LAP.size
        pack, clock, whole = _LAP.pack_into, time.perf_counter_ns, len(self._memory)
        offset = 0

        def lap(phase: int, name: str, step: int, layer: int = 0) -> None:
            nonlocal offset
            number = names.get(name)
            if number is None:
                number = names[name] = len(names)
            pack(memory, offset, phase, number, layer, step, clock())
            offset += size
            if offset == whole:
                offset = 0
                self._count += whole // size

        def count() -> int:
            return self._count + offset // size

        self._laps = count
        return lap

    def start(self) -> None:
        """The next span begins now; the time since the last one belongs to nothing."""
        self.lap(_START, "", 0)

    def spans(self) -> Spans:
        """What was recorded so far."""
        laps, count = np.frombuffer(bytes(self._memory), _LAP_DTYPE), self._laps()
        laps = np.roll(laps, -(count % len(laps))) if count > len(laps) else laps[:count]
        rows = np.empty(max(0, len(laps) - 1), _DTYPE)
        for field in _LAP_DTYPE.names or ():
            rows[field] = laps[field][1:]
        rows["begin"] = laps["end"][:-1]
        return Spans(tuple(self._names), rows[rows["phase"] != _START])


class Silent(Recorder):
    """Records nothing."""

    def __init__(self) -> None:
        super().__init__(0)

    def _make_lap(self) -> Callable[..., None]:
        self._laps = lambda: 0
        return _nothing

    def start(self) -> None:
        """Nothing."""


def _nothing(phase: int, name: str, step: int, layer: int = 0) -> None:
    pass


def stage_recorder(samples: int, layers: int) -> Recorder:
    """A recorder for the latest `samples` samples of a stage of `layers` layers, or for 0 one that records nothing."""
    # a sample is two receives, two sends, and two passes and up to two updates a layer; a backward pass in flight parts
    # the layers into groups that receive and send for themselves
    return Recorder(samples * (5 * layers + 4)) if samples else Silent()


def coordinator_recorder(samples: int) -> Recorder:
    """The same for the coordinator."""
    # getting ready and sending the sample; getting ready, receiving the output, making and sending the error
    return Recorder(samples * 6) if samples else Silent()
