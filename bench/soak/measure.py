"""`python -m bench.soak`: half an hour of runs whose stages are killed, and what grows meanwhile.

Every run must end with the undisturbed digest. The memory of this process and of Ray's daemons, open files, threads,
processes, shared memory and sockets are compared with those near the beginning.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.common import note
from bench.faults.kills import Killer, Watch, workers
from bench.faults.leftovers import Leftovers, processes
from bench.faults.measure import CASES, STAGES, pids, trained, undisturbed
from pipepita.pipeline.pulse import resident

MINUTES = 30.0


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row."""
    return [soak(1.0 if quick else MINUTES)]


def soak(minutes: float, seed: int = 0) -> dict[str, Any]:
    """Makes one run after the other on one engine, for so long. Returns how they ended and what has grown."""
    before, temporary = os.environ.get("TMPDIR"), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="pps") as name:
        os.environ["TMPDIR"] = tempfile.tempdir = name
        try:
            return _soak(minutes, seed, Path(name))
        finally:
            tempfile.tempdir = temporary
            os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


def _soak(minutes: float, seed: int, folder: Path) -> dict[str, Any]:
    left, draw = Leftovers(folder), random.Random(seed)
    engine = pp.RayEngine(STAGES, device="cpu")
    runs = equal = kills = restarts = 0
    seen: list[dict[str, float]] = []
    began = time.monotonic()
    try:
        while time.monotonic() - began < 60 * minutes or runs < 2:
            case, watch = runs % len(CASES), Watch()
            victims = [lambda: pids(engine), lambda: workers(folder)]
            killer = Killer(draw.getrandbits(32), draw.choice([0, 1, 1, 2]), 2.0, victims, watch.count)
            killer.begin()
            digest = trained(case, engine, watch)
            killer.end()
            runs, kills, restarts = runs + 1, kills + len(killer.kills), restarts + watch.count()
            equal += digest == undisturbed(case)
            seen.append(_sizes(folder))
            if runs % 10 == 0:
                note(
                    f"{(time.monotonic() - began) / 60:.1f} min: {runs} runs, {equal} equal, {kills} kills, {seen[-1]}"
                )
    finally:
        engine.close()
    return {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "runs": runs,
        "equal digests": equal,
        "kills": kills,
        "restarts": restarts,
        **{what: _growth([sizes[what] for sizes in seen]) for what in seen[0]},
        "left behind": left.remaining() or "nothing",
    }


def _sizes(folder: Path) -> dict[str, float]:
    """What might grow. Of the cluster only Ray's two daemons count, because workers come and go."""
    gc.collect()
    commands = processes(folder)
    daemons = [pid for pid, words in commands.items() if "gcs_server" in words or "raylet/raylet" in words]
    return {
        "coordinator, MB": resident() / 1e6,
        "Ray's daemons, MB": sum(map(_resident, daemons)) / 1e6,
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "worker processes": sum(words.startswith("ray::") for words in commands.values()),
        "files in /dev/shm": len(list(Path("/dev/shm").iterdir())),
    }


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _growth(values: list[float]) -> str:
    """The medians of the second and of the last fifth of `values`; the first fifth is warm-up."""
    fifth = max(1, len(values) // 5)
    begin, end = values[fifth : 2 * fifth] or values[:1], values[-fifth:]
    return f"{statistics.median(begin):.0f} -> {statistics.median(end):.0f}"
