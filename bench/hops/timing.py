"""The one loop that times every kind of hop."""

from __future__ import annotations

import time
from collections.abc import Callable


def timed(exchange: Callable[[], object], count: int, hops: int = 2) -> list[float]:
    """Microseconds per hop of `count` exchanges with `hops` hops each, without the first quarter, which is warm-up."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        exchange()
        times.append(1e6 * (time.perf_counter() - began) / hops)
    return times[count // 4 :]
