"""Records what a stage does at what time: a lap at the end of each thing it does, in memory that is allocated once.

A stage's loop does one thing after the other, so its laps cover the time: each span begins where the last one ended.

    | receive S7 | standard, layer 1 | layer 2 | send S7 | receive M6 | modulated, layer 1 | ... | update, layer 1 | ...
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RECEIVE, PASS, UPDATE, SEND, OTHER, DATA = range(6)
PHASES = ("receive", "pass", "update", "send", "other", "data")
_START = len(PHASES)  # not a span, but the mark at which the next one begins
_LAP = struct.Struct("5q")
_LAP_DTYPE = np.dtype([(field, np.int64) for field in ("phase", "name", "layer", "step", "end")])
_DTYPE = np.dtype([(field, np.int64) for field in ("phase", "name", "layer", "step", "begin", "end")])


@dataclass(frozen=True)
class Spans:
    """What one stage recorded, oldest first.

    Attributes:
        rows: A structured array of phase (index into `PHASES`), name (index into `names`, the passes), layer (its
            number; 0 if the span does not belong to one layer), step, begin and end (nanoseconds of the host's
            monotonic clock).
    """

    names: tuple[str, ...]
    rows: np.ndarray[Any, Any]

    def of(self, phase: int, name: str | None = None, layer: int | None = None) -> np.ndarray[Any, Any]:
        """The rows of one phase; only those of one pass and of one layer, if these are given."""
        chosen = self.rows["phase"] == phase
        if name is not None:
            chosen &= self.rows["name"] == (self.names.index(name) if name in self.names else -1)
        if layer is not None:
            chosen &= self.rows["layer"] == layer
        return self.rows[chosen]

    @property
    def holds(self) -> str:
        """Which layers the stage holds: "layer 3" or "layers 1 to 2"; "" if it made no pass."""
        layers = sorted(set(self.rows["layer"].tolist()) - {0})
        if not layers:
            return ""
        return f"layer {layers[0]}" if len(layers) == 1 else f"layers {layers[0]} to {layers[-1]}"

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
        # one lap more than spans: each span begins where the one before it ended
        self._memory = bytearray(_LAP.size * (capacity + 1))
        self._names: dict[str, int] = {}
        self._count = 0
        self.lap = self._make_lap()

    def _make_lap(self) -> Callable[..., None]:
        """Makes `lap` as a closure, which is quicker than a method: it runs several times per pass."""
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
        """Begins the next span now. The time since the last one belongs to no span."""
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
        """Does nothing."""


def _nothing(phase: int, name: str, step: int, layer: int = 0) -> None:
    pass


def stage_recorder(samples: int, layers: int) -> Recorder:
    """A recorder for the latest `samples` samples of a stage with `layers` layers. For 0 samples it records nothing."""
    # A sample takes two receives and two sends, and per layer two passes and up to two updates. With samples in flight,
    # a backward pass divides the layers into groups that receive and send separately.
    return Recorder(samples * (5 * layers + 4)) if samples else Silent()


def coordinator_recorder(samples: int) -> Recorder:
    """The same for the coordinator."""
    # it prepares, gets the sample and sends it; it prepares, receives the output, makes the error and sends it
    return Recorder(samples * 7) if samples else Silent()
