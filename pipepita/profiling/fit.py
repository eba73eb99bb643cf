"""Makes a device's figures of how long single passes took."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from pipepita.edge.measured import PHASES, Measured, Rate, key
from pipepita.edge.work import Work

_LITTLE = 0.1  # of its time, that a pass may spend on products if it is to show what everything else takes
_LEAST = 0.05  # of its time, that a pass is said to spend on products, whatever else explains it
_TOGETHER = 4.0  # products whose sizes differ by less than this factor share one rate
_LEAST_BYTE = 1e-14  # seconds


class Timed(NamedTuple):
    """How long one pass took.

    kind: of the layer. phase: one of `PHASES`. batch: how many items. first: whether the layer is the first one of the
    stage. seconds: the median over some samples.
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


def fitted(passes: Sequence[Timed]) -> Measured:
    """What explains how long these took: first those that hardly multiply, then the rates of products.

    Relative errors count, so that small passes are explained as well as large ones.
    """
    best = max((one.work.products / one.seconds for one in passes), default=1.0)
    plain = [one for one in passes if one.work.products / best < _LITTLE * one.seconds]
    table = [
        [
            *(float(one.phase == phase) for phase in PHASES),
            *(float(one.phase == phase and one.first) for phase in PHASES),
            one.work.calls,
            one.work.bytes,
        ]
        for one in plain
    ]
    weights = np.array([1 / one.seconds for one in plain])
    scales = np.array([1.0] * 7 + [1e-6])  # of like size, for the solver
    found, _ = nnls(np.array(table) * scales * weights[:, None], np.ones(len(plain)))
    standard, second, update, more, again, further, call, byte = (float(value) for value in found * scales)
    without = Measured(call, (standard, second, update), (more, again, further), 1 / max(byte, _LEAST_BYTE))
    rates: dict[str, list[Rate]] = {}
    for name in dict.fromkeys(map(_key, passes)):
        rates[name] = _rates([one for one in passes if _key(one) == name], without)
    return replace(without, rates={name: found for name, found in rates.items() if found})


def _key(one: Timed) -> str:
    return key(one.kind, one.phase, one.batch)


def _rates(passes: Sequence[Timed], without: Measured) -> list[Rate]:
    """The rates that are left once everything else is explained."""
    left = [
        (one.work.products, one.work.products / max(one.seconds - besides, _LEAST * one.seconds))
        for one in passes
        if one.work.products
        for besides in [without.besides(one.work, one.phase, first=one.first)]
    ]
    groups = itertools.groupby(sorted(left), key=lambda one: math.floor(math.log(one[0], _TOGETHER)))
    found = []
    for _, group in groups:
        products, rates = zip(*group, strict=True)
        found.append(Rate(float(np.median(products)), float(np.median(rates))))
    return found
