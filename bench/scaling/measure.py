"""`python -m bench.scaling`: how the cost of a sample grows with depth, width, batch and stages, one at a time.

The base is 8 layers of 256 units, batch 16, two stages. `grows` is the slope from the line before to this one, on
logarithmic axes: 1 means in proportion, 0 not at all.
"""

from __future__ import annotations

import math
from typing import Any

import pipepita as pp
from bench.common import note
from bench.schedules.measure import row

BASE = {"layers": 8, "width": 256, "batch": 16, "stages": 2}
AXES = {
    "layers": (2, 4, 8, 16),
    "width": (64, 128, 256, 512, 1024),
    "batch": (1, 4, 16, 64, 256),
    "stages": (1, 2, 4, 8),
}
_TIMES = ("locked, ms", "relaxed, ms", "streaming, ms", "in process, ms")


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per value of each axis."""
    axes = {axis: values[:2] for axis, values in AXES.items()} if quick else AXES
    engine = pp.RayEngine(max(BASE["stages"], *axes["stages"]), device="cpu")
    rows: list[dict[str, Any]] = []
    try:
        for axis, values in axes.items():
            before: dict[str, Any] | None = None
            for value in values:
                case = {**BASE, axis: value}
                note(f"{axis} {value}")
                figures = row(**case, engine=engine, quick=quick)
                line = {"axis": axis, **case}
                for name in _TIMES:
                    line[name] = figures[name]
                    line[f"{name.partition(',')[0]} grows"] = _slope(before, figures, axis, name) if before else "-"
                rows.append(line)
                before = figures
        return rows
    finally:
        engine.close()


def _slope(before: dict[str, Any], now: dict[str, Any], axis: str, name: str) -> float:
    return math.log(now[name] / before[name]) / math.log(now[axis] / before[axis])
