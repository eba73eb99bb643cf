"""The machine in words, for reports: measured figures mean nothing without it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
