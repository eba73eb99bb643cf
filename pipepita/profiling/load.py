"""Whether a device keeps its speed under load: products of matrices on all cores, for some time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pipepita.machine import cores
from pipepita.pipeline.stage import compute_mode
from pipepita.profiling.power import Meter
from pipepita.progress import Progress, silent

_SIZE = 512
_STRETCH = 1.0  # seconds of one figure
_ENDS = 5  # so many figures at the beginning and at the end are compared


@dataclass(frozen=True)
class Load:
    """What happened under load.

    Attributes:
        rates: FLOP/s, one figure per second.
        watts: The mean power; None if nothing measures it.
    """

    rates: list[float]
    watts: float | None

    @property
    def kept(self) -> float:
        """The share of its speed that it had left in the end."""
        ends = max(1, min(_ENDS, len(self.rates) // 2))
        return min(1.0, statistics.median(self.rates[-ends:]) / statistics.median(self.rates[:ends]))


def load(
    seconds: float,
    meter: Meter | None,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
) -> Load:
    """Loads all cores with products of matrices.

    Args:
        seconds: How long.
        meter: What measures energy; None if nothing does.
        progress: Called with (seconds done, seconds in all, what happens).
        stop: Asked every second.

    Raises:
        KeyboardInterrupt: `stop` said true.
    """
    rates: list[float] = []
    stretches = max(1, round(seconds / _STRETCH))
    with compute_mode(cores()):
        left, right = torch.rand(_SIZE, _SIZE), torch.rand(_SIZE, _SIZE)
        used, begin = meter.joules if meter is not None else None, time.perf_counter()
        before = used() if used is not None else 0.0
        for stretch in range(stretches):
            if stop():
                raise KeyboardInterrupt
            progress(stretch, stretches, "under load")
            began, count = time.perf_counter(), 0
            while (taken := time.perf_counter() - began) < _STRETCH:
                torch.mm(left, right)
                count += 1
            rates.append(2 * _SIZE**3 * count / taken)
        taken = time.perf_counter() - begin
        watts = None if used is None else (used() - before) / taken
    return Load(rates, watts)


def idle_watts(meter: Meter | None, seconds: float = 3.0) -> float | None:
    """The mean power while nothing is to be done; None if nothing measures it."""
    if meter is None:
        return None
    before, began = meter.joules(), time.perf_counter()
    time.sleep(seconds)
    return (meter.joules() - before) / (time.perf_counter() - began)
