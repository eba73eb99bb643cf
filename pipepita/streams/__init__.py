"""Streams for online learning: test on an item, then train on it. A new drift is one entry in `drift.DRIFTS`."""

from __future__ import annotations

from pipepita.streams.change import Drift
from pipepita.streams.drift import DRIFTS, drifted, parse
from pipepita.streams.items import Item
from pipepita.streams.prequential import DETECTORS, ClassPrequential, NumberPrequential, Prequential, prequential
from pipepita.streams.sources import open_stream
from pipepita.streams.stream import Stream, as_stream

__all__ = [
    "DETECTORS",
    "DRIFTS",
    "ClassPrequential",
    "Drift",
    "Item",
    "NumberPrequential",
    "Prequential",
    "Stream",
    "as_stream",
    "drifted",
    "open_stream",
    "parse",
    "prequential",
]
