"""Makes a device's figures of how long single passes took."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipepita.edge.devices.measured import BATCHES, LINEAR, PHASES, Measured, Overhead, Rate, key
from pipepita.edge.work import Work
from pipepita.profiling.explained import explained

_LITTLE = 0.1  # of its time, that a pass may spend on products if it is to show what everything else takes
_LEAST = 0.005  # of its time, that a pass is said to spend on products, whatever else explains it
_TOGETHER = 4.0  # work whose sizes differ by less than this factor shares one rate
_LEAST_BYTE = 1e-14  # seconds


class Timed(NamedTuple):
    """How long one pass took.

    Attributes:
        kind: Of the layer.
        phase: One of `PHASES`.
        batch: How many items.
        first: Whether the layer is the first one of the stage.
        seconds: The median over some samples.
    """

    kind: str
    phase: str
    batch: int
    first: bool
    work: Work
    seconds: float

    def explained(self, measured: Measured) -> float:
        """How long it takes according to what was made of all of them."""
        return measured.seconds(self.work, self.kind, self.phase, self.batch, first=self.first)


class Looked(NamedTuple):
    """How much longer a sample took at a layer that predicted its weights, and what that computed."""

    work: Work
    seconds: float


def fitted(passes: Sequence[Timed]) -> Measured:
    """What explains how long these took: first those that hardly multiply, then the rates of products.

    Each batch is explained by itself. Relative errors count, so that small passes are explained as well as large ones.
    """
    without = Measured({batch: _overhead([one for one in passes if one.batch == batch]) for batch in BATCHES})
    rates: dict[str, list[Rate]] = {}
    for name in dict.fromkeys(map(_key, passes)):
        rates[name] = _rates([one for one in passes if _key(one) == name], without)
    return replace(without, rates={name: found for name, found in rates.items() if found})


def _overhead(passes: Sequence[Timed]) -> Overhead:
    """What passes of one batch take besides products: what explains those that hardly multiply."""
    best = max((one.work.products / one.seconds for one in passes), default=1.0)
    # not small convolutions, which prepare a lot before they multiply: that is a part of their rates
    plain = [one for one in passes if one.kind == LINEAR and one.work.products / best < _LITTLE * one.seconds]
    if not plain:
        return Overhead(0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1 / _LEAST_BYTE)
    rows = [
        [
            *(float(one.phase == phase) for phase in PHASES),
            *(float(one.phase == phase and one.first) for phase in PHASES),
            one.work.calls,
            one.work.bytes,
            one.work.products,  # what they take here is not known well: it is found out later, for each size
        ]
        for one in plain
    ]
    standard, second, update, more, again, further, call, byte, _ = explained(rows, [one.seconds for one in plain])
    return Overhead(call, (standard, second, update), (more, again, further), 1 / max(byte, _LEAST_BYTE))


def _key(one: Timed) -> str:
    return key(one.kind, one.phase, one.batch)


def ahead_rates(looks: Sequence[Looked], measured: Measured) -> list[Rate]:
    """How many bytes per second it comes to to predict weights, by how many they are."""
    call = measured.overheads[1].call
    return _grouped(
        [
            (one.work.bytes, one.work.bytes / max(one.seconds - call * one.work.calls, _LEAST * one.seconds))
            for one in looks
            if one.work.bytes and one.seconds > 0
        ]
    )


def _rates(passes: Sequence[Timed], without: Measured) -> list[Rate]:
    """The rates that are left once everything else is explained."""
    left = [
        (one.work.products, one.work.products / max(one.seconds - besides, _LEAST * one.seconds))
        for one in passes
        if one.work.products
        for besides in [without.besides(one.work, one.phase, one.batch, first=one.first)]
    ]
    return _grouped(left)


def _grouped(found: Sequence[tuple[float, float]]) -> list[Rate]:
    """One rate for all of about the same size. found: pairs of size and rate."""
    groups = itertools.groupby(sorted(found), key=lambda one: math.floor(math.log(one[0], _TOGETHER)))
    return [Rate(*(float(np.median(values)) for values in zip(*group, strict=True))) for _, group in groups]
