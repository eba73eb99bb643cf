"""How much memory a program can use, and how fast it is."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import torch

from pipepita.pipeline.stage import compute_mode

_BYTES = 1 << 28
_SHARE = 0.25  # of the free memory, that the two tensors may take
_ROUNDS = 9


def free() -> int:
    """Bytes that a program can use now."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def bandwidth() -> float:
    """Bytes per second, read and written together, when one thread copies what no cache holds."""
    size = int(min(_BYTES, _SHARE * free() / 2)) // 4
    with compute_mode(1):
        source, target = torch.ones(size), torch.empty(size)
        seconds = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            target.copy_(source)
            seconds.append(time.perf_counter() - began)
    return 2 * 4 * size / statistics.median(seconds[1:])  # the first one gets the pages from the system
