"""This machine measures itself, is simulated, and runs `online` for real: throughput, and latency at a third of it.

Machines are faster at some times than at others, and a profile holds for the pace at which it was measured. So the pace
is measured before and after everything, and divided out; and all of it is done again and again.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.common import note

NETWORKS = ("fc:64x2", "fc:256x3", "conv:16,3/pool:2/fc:64")
# (devices, their setup in the simulation, options of the real run); one process has one sample in flight
WHERE = {
    "one process": ("here", "one device", ("--engine", "local", "--window", "1")),
    "1 actor": ("here", "adaptive", ("--engine", "ray", "--stages", "1")),
    "2 actors": ("here*2", "adaptive", ("--engine", "ray", "--stages", "2")),
}
_SAMPLES, _SELDOM, _ROUNDS = 3000, 200, 3
_SHARE = 1 / 3  # of the simulated capacity, at which latencies are compared


def _pace(seconds: float = 0.4) -> float:
    """How often per second this machine does a fixed piece of work, of the kind that a small network is."""
    import torch

    torch.set_num_threads(1)
    weights, x = torch.rand(64, 64), torch.rand(1, 64)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(20):
            y = (x @ weights).relu_()
            weights.addmm_(x.T, y, alpha=1e-9)
        done += 20
    return done / (time.perf_counter() - began)


@contextmanager
def _paced(paces: list[float]) -> Iterator[None]:
    """Appends the machine's pace, before and after together."""
    before = _pace()
    yield
    paces.append((before + _pace()) / 2)


def _command(*arguments: object) -> str:
    """What the command printed. It prints into a file, since a process that reads along takes time of its own."""
    with tempfile.TemporaryFile("w+") as printed:
        words = [sys.executable, "-m", "pipepita", *map(str, arguments)]
        subprocess.run(words, stdout=printed, stderr=subprocess.PIPE, text=True, check=True)
        printed.seek(0)
        return printed.read()


def _simulated(profiles: Path, network: str, devices: str, setup: str, rate: float | None) -> dict[str, Any]:
    link = () if devices == "here" else ("--link", "air")
    paced = () if rate is None else ("--rate", rate, "--arrivals", "fixed")
    options = ("--network", network, "--devices", devices, *link, *paced, "--samples", 400, "--timing-only", "--json")
    found: dict[str, Any] = json.loads(_command("simulate", "--profiles", profiles, *options))
    return dict(found["setups"][setup])


def _real(folder: Path, network: str, options: tuple[str, ...], rate: float | None) -> dict[str, Any]:
    """The result of one run."""
    paced = ("--samples", _SAMPLES) if rate is None else ("--samples", _SELDOM, "--rate", rate, "--arrivals", "fixed")
    run = Path(tempfile.mkdtemp(dir=folder)) / "run"
    _command("online", "--network", network, *options, *paced, "--run-dir", run)
    return dict(json.loads((run / "result.json").read_text()))


def _rounds(folder: Path, number: int, networks: tuple[str, ...]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """The figures of each network and engine, by a profile of their own in each round."""
    import ray  # only for the address

    for turn in range(number):
        profiles, then = folder / f"here-{turn}.toml", list[float]()
        with _paced(then):
            _command("profile", "--name", "here", "--into", profiles, "--load-seconds", 0)
        _command("profile", "--name", "air", "--into", profiles, "--link", ray.util.get_node_ip_address())
        for network in networks:
            for where, (devices, setup, options) in WHERE.items():
                capacity = _simulated(profiles, network, devices, setup, None)["capacity"]
                rate = _SHARE * capacity
                late = _simulated(profiles, network, devices, setup, rate)["prediction_ms"]["p50"]
                now = list[float]()
                with _paced(now):
                    throughput = _real(folder, network, options, None)["items_per_second"]
                with _paced(now):
                    latency = _real(folder, network, options, rate)["latency_ms"]["p50"]
                figures = {
                    "simulated, items/s": capacity,
                    "real": throughput,
                    "simulated / real": capacity / throughput,
                    "at equal pace": capacity / throughput * now[0] / then[0],
                    "simulated p50, ms": late,
                    "real p50": latency,
                    "p50: simulated / real": late / latency,
                    "p50 at equal pace": late / latency * then[0] / now[1],
                }
                note(f"round {turn + 1}: {network}, {where}: {figures}")
                yield network, where, figures


def own(quick: bool) -> list[dict[str, Any]]:
    """One row per network and engine: medians over the rounds, also of the ratios in each."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for network, where, figures in _rounds(Path(name), 1 if quick else _ROUNDS, NETWORKS[: 1 if quick else None]):
            found.setdefault((network, where), []).append(figures)

    return [
        {
            "network": network,
            "where": where,
            **{what: statistics.median(figures[what] for figures in rounds) for what in rounds[0]},
        }
        for (network, where), rounds in found.items()
    ]
