"""`python -m bench.faults`: runs whose stages, clusters and coordinators are killed, and the bits with which they end.

100 runs lose a stage, or any of Ray's worker processes, at a random moment; some lose several. 20 runs lose a process
of their embedded cluster itself. 20 runs lose their coordinator and are resumed, some of them more than once; so do 20
runs of `pipepita online`. Each digest is compared with that of an undisturbed run in one process. Afterwards nothing
may be left: no processes, shared memory, sockets, or temporary files.
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
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.common import note
from bench.faults.kills import Killer, Watch, services, workers
from bench.faults.leftovers import Leftovers
from bench.faults.online import online_dies
from pipepita.errors import PipepitaError

STAGES = 3
# together they take every way that messages and updates can take
CASES: list[dict[str, Any]] = [
    {"rule": "pepita:modulate=input", "schedule": "streaming"},
    {"rule": "pepita:modulate=input", "schedule": "relaxed"},
    {"rule": "pepita:modulate=input", "schedule": "locked"},
    {"rule": "pepita:modulate=all,f_scale=0.05", "schedule": "streaming"},
    {"rule": "pepita:modulate=all,f_scale=0.05,mirror=3", "schedule": "streaming"},
    {"rule": "bp", "schedule": "streaming"},
    {"rule": "dfa", "schedule": "streaming"},
    {"rule": "drtp", "schedule": "streaming"},
]
_COMMON: dict[str, Any] = {
    "epochs": 12,
    "snapshot_every": 10,
    "batch_size": 32,
    "lr": 0.02,
    "optimizer": "sgd:momentum=0.9",
}
_NETWORK = "fc:64x2"


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row for each kind of process, and one for the coordinator of a live stream."""
    with tempfile.TemporaryDirectory(prefix="ppf") as folder, tempfile.TemporaryDirectory(prefix="ppr") as runs:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        left = Leftovers(Path(folder))
        rows = [
            stages_die(6 if quick else 100, Path(folder), left),
            clusters_die(2 if quick else 20, Path(folder), left),
            coordinators_die(2 if quick else 20, Path(runs), left),
            online_dies(3 if quick else 20, Path(runs), left),
        ]
    return rows


def stages_die(runs: int, folder: Path, left: Leftovers) -> dict[str, Any]:
    """Makes `runs` runs on one engine, each with one to three kills at random moments."""
    engine = pp.RayEngine(STAGES, device="cpu")
    return _die("stages, workers", runs, [1, 1, 1, 2, 3], engine, [lambda: pids(engine), lambda: workers(folder)], left)


def clusters_die(runs: int, folder: Path, left: Leftovers) -> dict[str, Any]:
    """Makes `runs` runs on one engine whose cluster loses a process at a random moment, or rarely two."""
    engine = pp.RayEngine(STAGES, device="cpu")
    return _die("raylet, control store, agents", runs, [1, 1, 1, 2], engine, [lambda: services(folder)], left)


def _die(
    killed: str, runs: int, counts: list[int], engine: pp.RayEngine, victims: list[Callable[[], list[int]]],
    left: Leftovers,
) -> dict[str, Any]:  # fmt: skip
    equal, kills, restarts, undisturbed_seconds = 0, 0, 0, dict[int, float]()
    detection, cost, repairs = list[float](), list[float](), list[int]()
    try:
        for number in range(runs):
            case = number % len(CASES)
            if case not in undisturbed_seconds:  # twice, because the first run of a process is slow
                undisturbed_seconds[case] = min(_seconds(engine, case, Watch())[0] for _ in range(2))
            count = random.Random(number).choice(counts)
            watch = Watch()
            usual = undisturbed_seconds[case]
            killer = Killer(number, count, usual, victims, watch.count)
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
            cost += [(seconds - usual) / len(watch.restarts)] if watch.restarts else []
            note(
                f"run {number + 1}/{runs}: {CASES[case]}, {len(killer.kills)} kills, {watch.count()} restarts, "
                f"{'equal' if digest == undisturbed(case) else 'DIFFERENT'}, {seconds:.1f} s"
            )
    finally:
        engine.close()
    return {
        "killed": killed,
        "runs": runs,
        "kills": kills,
        "runs that recovered once, more often": f"{repairs.count(1)}, {sum(count > 1 for count in repairs)}",
        "restarts": restarts,
        "equal digests": equal,
        "noticed after, s (p50, p95, max)": _spread(detection),
        "cost of a recovery, s (p50, p95, max)": _spread(cost),
        "left behind": left.remaining() or "nothing",
    }


def coordinators_die(runs: int, folder: Path, left: Leftovers) -> dict[str, Any]:
    """Makes `runs` runs by command, whose process gets SIGKILL at a random moment while it trains, and is resumed.

    Some are also killed before that, and begin again if there is nothing yet to resume; some while they resume.
    """
    equal, kills, resumed, cost = 0, 0, list[int](), list[float]()
    start, usual = _undisturbed_command(folder / "undisturbed")
    for number in range(runs):
        case, run_dir, draw = number % len(CASES), folder / str(number), random.Random(1000 + number)
        command, began, killed, resumes = _command(case, run_dir), time.monotonic(), 0, 0
        # (a path, how many seconds after it exists the process is killed)
        before_training = (folder, draw.uniform(0, start))
        training = (run_dir / "run.json", draw.uniform(0, 0.6 * (usual - start)))
        resuming = (folder, draw.uniform(0, usual))
        moments = draw.choice([[training], [training], [before_training, training], [training, resuming]])
        while True:
            process = _started(command)
            if not moments or not _killed(process, *moments.pop(0)):
                break
            killed += 1
            if (run_dir / "run.json").exists():
                resumes, command = resumes + 1, _resumed(run_dir)
        out, said = process.communicate()
        if process.returncode:
            note(f"exit code {process.returncode}: {said.strip().splitlines()[-1:]}")
        same = bool(out) and json.loads(out)["weights_sha256"] == undisturbed(case)
        seconds = time.monotonic() - began
        equal, kills = equal + same, kills + killed
        resumed.append(resumes)
        cost += [(seconds - usual) / killed] if killed else []
        note(
            f"coordinator {number + 1}/{runs}: {CASES[case]}, {killed} kills, resumed {resumes} times, "
            f"{'equal' if same else 'DIFFERENT'}, {seconds:.1f} s"
        )
    return {
        "killed": "coordinator",
        "runs": runs,
        "kills": kills,
        "runs that were resumed once, twice": f"{resumed.count(1)}, {resumed.count(2)}",
        "equal digests": equal,
        "cost of a kill, s (p50, p95, max)": _spread(cost),
        "left behind": left.remaining() or "nothing",
    }


def _undisturbed_command(run_dir: Path) -> tuple[float, float]:
    """After how many seconds an undisturbed command begins to train, and after how many it ends."""
    began, process = time.monotonic(), _started(_command(0, run_dir))
    _killed(process, run_dir / "run.json", None)
    start = time.monotonic() - began
    process.communicate()
    return start, time.monotonic() - began


def _started(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _killed(process: subprocess.Popen[str], path: Path, seconds: float | None) -> bool:
    """Kills `process` so many seconds after `path` exists; returns whether it still ran then. None only waits."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)
    if seconds is None:
        return False
    try:
        process.wait(seconds)  # its output is short and fits into the pipe
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True


def _command(case: int, run_dir: Path) -> list[str]:
    options = {**CASES[case], **_COMMON, "network": _NETWORK, "checkpoint_every": 0, "run_dir": run_dir}
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "pipepita", "train", *words, "--activation", "relu", "--no-normalize", "--json"]


def _resumed(run_dir: Path) -> list[str]:
    return [sys.executable, "-m", "pipepita", "train", "--resume", str(run_dir), "--json"]


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

    data, chosen = pp.load("digits"), CASES[case]
    result = pp.train(
        pp.build(_NETWORK, data.item_shape, data.classes, dropout=0.1), data, rule=rules.read(chosen["rule"]),
        engine=engine, normalize=False, schedule=chosen["schedule"], observer=watch, max_restarts=20, **_COMMON,
    )  # fmt: skip
    return str(result.weights_sha256)


def pids(engine: pp.RayEngine) -> list[int]:
    """The processes of those stages that answer."""
    import ray

    asked = [actor.pulse.remote() for actor in engine._actors]
    ready, _ = ray.wait(asked, num_returns=len(asked), timeout=0.5)
    answered = []
    for ref in ready:
        try:
            answered.append(ray.get(ref).pid)
        except ray.exceptions.RayError:
            continue
    return answered


def _spread(values: list[float]) -> list[float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return [
        round(statistics.median(ordered), 2),
        round(ordered[round(0.95 * (len(ordered) - 1))], 2),
        round(ordered[-1], 2),
    ]
