"""`python -m bench.faults`: runs whose stages and coordinators are killed, and the bits they end with.

100 runs lose a stage, or any of Ray's worker processes, at a random moment, some of them several; 20 runs lose their
coordinator and are resumed, some of them more than once. Every one is held against the digest of an undisturbed run in
one process. Afterwards nothing may be left: processes, shared memory, sockets, temporary files.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.common import note
from bench.faults.kills import Killer, Watch
from bench.faults.leftovers import Leftovers
from pipepita.errors import PipepitaError

STAGES = 3
# one of each way that messages and updates take
CASES: list[dict[str, Any]] = [
    {"rule": "pepita", "schedule": "streaming"},
    {"rule": "pepita", "schedule": "relaxed"},
    {"rule": "pepita", "schedule": "locked"},
    {"rule": "pepita", "modulate": "all", "schedule": "streaming"},
    {"rule": "pepita", "modulate": "all", "mirror": 3, "schedule": "streaming"},
    {"rule": "bp", "schedule": "streaming"},
    {"rule": "dfa", "schedule": "streaming"},
    {"rule": "drtp", "schedule": "streaming"},
]
_COMMON = {"epochs": 12, "snapshot_every": 10, "batch_size": 32, "lr": 0.02}
_NETWORK = "fc:64x2"


def measure(quick: bool) -> list[dict[str, Any]]:
    """A row for the stages and one for the coordinator."""
    with tempfile.TemporaryDirectory(prefix="ppf") as folder, tempfile.TemporaryDirectory(prefix="ppr") as runs:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        left = Leftovers(Path(folder))
        rows = [
            stages_die(6 if quick else 100, Path(folder), left),
            coordinators_die(2 if quick else 20, Path(runs), left),
        ]
    return rows


def stages_die(runs: int, folder: Path, left: Leftovers) -> dict[str, Any]:
    """`runs` runs on one engine, each with one to three kills at random moments."""
    engine = pp.RayEngine(STAGES, device="cpu")
    equal, kills, restarts, calm = 0, 0, 0, dict[int, float]()
    detection, cost, repairs = list[float](), list[float](), list[int]()
    try:
        for number in range(runs):
            case = number % len(CASES)
            if case not in calm:  # twice, since the first run of a process is slow
                calm[case] = min(_seconds(engine, case, Watch())[0] for _ in range(2))
            count = random.Random(number).choice([1, 1, 1, 2, 3])
            watch = Watch()
            killer = Killer(number, count, calm[case], lambda: pids(engine), watch.count, folder)
            killer.begin()
            try:
                seconds, digest = _seconds(engine, case, watch)
            except PipepitaError as error:
                note(f"run {number + 1}: {error}")
                seconds, digest = 0.0, None
            killer.end()
            equal += digest == undisturbed(case)
            kills += len(killer.kills)
            restarts += watch.count()
            repairs.append(len(watch.restarts))
            detection += watch.detection(killer.kills)
            cost += [(seconds - calm[case]) / len(watch.restarts)] if watch.restarts else []
            note(
                f"run {number + 1}/{runs}: {CASES[case]}, {len(killer.kills)} kills, {watch.count()} restarts, "
                f"{'equal' if digest == undisturbed(case) else 'DIFFERENT'}, {seconds:.1f} s"
            )
    finally:
        engine.close()
    return {
        "killed": "stages, workers",
        "runs": runs,
        "kills": kills,
        "runs that recovered once, more often": f"{repairs.count(1)}, {sum(found > 1 for found in repairs)}",
        "restarts": restarts,
        "equal digests": equal,
        "noticed after, s (p50, p95, max)": _spread(detection),
        "cost of a recovery, s (p50, p95, max)": _spread(cost),
        "left behind": left.found() or "nothing",
    }


def coordinators_die(runs: int, folder: Path, left: Leftovers) -> dict[str, Any]:
    """`runs` runs by command whose process gets SIGKILL at a random moment, and is resumed until it ends."""
    equal, kills, resumed, cost = 0, 0, 0, list[float]()
    calm = 0.0
    for number in range(-1, runs):  # the first one is left alone, to see how long it takes
        case, run_dir = max(number, 0) % len(CASES), folder / str(number)
        draw, begin = random.Random(1000 + number), _command(case, run_dir)
        wanted = 0 if number < 0 else draw.choice([1, 1, 2])
        began, command, out = time.monotonic(), begin, ""
        while True:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                out, said = process.communicate(timeout=draw.uniform(0.3, calm) if wanted else 300)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills, wanted = kills + 1, wanted - 1
            else:
                if process.returncode:
                    note(f"exit code {process.returncode}: {said.strip().splitlines()[-1:]}")
                break
            there = (run_dir / "run.json").exists()
            resumed += there
            command = [*begin[:3], "train", "--resume", str(run_dir), "--json"] if there else begin
        seconds = time.monotonic() - began
        if number < 0:
            calm = seconds
            continue
        same = bool(out) and json.loads(out)["weights_sha256"] == undisturbed(case)
        equal += same
        cost.append(seconds - calm)
        note(f"coordinator {number + 1}/{runs}: {CASES[case]}, {'equal' if same else 'DIFFERENT'}, {seconds:.1f} s")
    return {
        "killed": "coordinator",
        "runs": runs,
        "kills": kills,
        "resumed": resumed,
        "equal digests": equal,
        "longer than undisturbed, s (p50, p95, max)": _spread(cost),
        "left behind": left.found() or "nothing",
    }


def _command(case: int, run_dir: Path) -> list[str]:
    options = {**CASES[case], **_COMMON, "network": _NETWORK, "checkpoint_every": 0, "run_dir": run_dir}
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "pipepita", "train", *words, "--json"]


def _seconds(engine: pp.RayEngine, case: int, watch: Watch) -> tuple[float, str]:
    """How long one run takes, and its digest."""
    began = time.monotonic()
    digest = trained(case, engine, watch)
    return time.monotonic() - began, digest


@cache
def undisturbed(case: int) -> str:
    """The digest that every run of `CASES[case]` must end with."""
    return trained(case, pp.LocalEngine("cpu"), None)


def trained(case: int, engine: Any, watch: Watch | None) -> str:
    """The digest of one run of `CASES[case]` on `engine`."""
    from pipepita import rules

    data, options = pp.load("digits"), dict(CASES[case])
    schedule, name = options.pop("schedule"), options.pop("rule")
    result = pp.train(
        pp.build(_NETWORK, data.item_shape, data.classes, dropout=0.1), data, rule=rules.make(name, options),
        engine=engine, schedule=schedule, observer=watch, max_restarts=20, **_COMMON,
    )  # fmt: skip
    return str(result.weights_sha256)


def pids(engine: pp.RayEngine) -> list[int]:
    """The processes of the stages, as far as they answer."""
    import ray

    asked = [actor.pulse.remote() for actor in engine._actors]
    ready, _ = ray.wait(asked, num_returns=len(asked), timeout=0.5)
    found = []
    for ref in ready:
        try:
            found.append(ray.get(ref).pid)
        except ray.exceptions.RayError:
            continue
    return found


def _spread(values: list[float]) -> list[float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return [
        round(statistics.median(ordered), 2),
        round(ordered[int(0.95 * (len(ordered) - 1))], 2),
        round(ordered[-1], 2),
    ]
