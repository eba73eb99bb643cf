"""What is measured of one turn of a contender: wall time, CPU time and memory of its processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_WARM_UP = 4  # a quarter of a turn's steps


def warm_up(steps: int) -> int:
    """How many of a turn's first steps do not count."""
    return steps // _WARM_UP


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of process `pid`, user and system, in ticks of 10 ms. Spinning counts."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mib(pid: int) -> float:
    """The proportional set size of process `pid`: its own pages, and its part of those that it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@dataclass(frozen=True)
class Turn:
    """One turn of a contender, or one process's part of it.

    steps: how many steps count. seconds: their wall time. cpu: CPU seconds of all stage processes together. memory: MiB
    of the largest stage process. coordinator_cpu: CPU seconds of a coordinator in a process of its own.
    """

    steps: int
    seconds: float
    cpu: float
    memory: float
    coordinator_cpu: float = 0.0

    @property
    def step_ms(self) -> float:
        return 1000 * self.seconds / self.steps

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per step, of all processes."""
        return 1000 * (self.cpu + self.coordinator_cpu) / self.steps

    def idle(self, workers: int) -> float:
        """The share of the wall time of `workers` processes or threads in which they used no CPU."""
        return 1 - self.cpu / (self.seconds * workers)


def together(parts: Sequence[Turn]) -> Turn:
    """The turn that several processes made together. The first one takes the time."""
    first = parts[0]
    return Turn(first.steps, first.seconds, sum(p.cpu for p in parts), max(p.memory for p in parts))
