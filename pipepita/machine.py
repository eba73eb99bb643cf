"""The machine: its cores, its memory, and what it is in words, for reports."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def keep_freed_memory() -> None:
    """Lets this process use blocks of up to 32 MB again that it has freed, instead of giving them back each time.

    A convolution's activities are blocks of many megabytes, made and freed at each pass. As glibc is set by default,
    the system maps and clears their pages each time, which takes longer than what is computed on them. Up to 1 GB is
    kept in this way. With another C library nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the highest that it takes
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


def machine() -> dict[str, Any]:
    """Processor, cores, GPUs, versions and system."""
    model, info = platform.processor() or "unknown", Path("/proc/cpuinfo")
    if info.exists():
        names = (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line)
        model = next(names, model)
    return {
        "cpu": model,
        "cores": cores(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.release()}",
    }
