"""This machine measures itself, is simulated, and runs `online` for real: throughput, and latency at a third of it.

Machines are faster at some times than at others. So all of it is done again and again, and ratios count.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
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
        profiles = folder / f"here-{turn}.toml"
        _command("profile", "--name", "here", "--into", profiles, "--load-seconds", 0)
        _command("profile", "--name", "air", "--into", profiles, "--link", ray.util.get_node_ip_address())
        for network in networks:
            for where, (devices, setup, options) in WHERE.items():
                capacity = _simulated(profiles, network, devices, setup, None)["capacity"]
                rate = _SHARE * capacity
                figures = {
                    "simulated, items/s": capacity,
                    "real": _real(folder, network, options, None)["items_per_second"],
                    "simulated p50, ms": _simulated(profiles, network, devices, setup, rate)["prediction_ms"]["p50"],
                    "real p50": _real(folder, network, options, rate)["latency_ms"]["p50"],
                }
                note(f"round {turn + 1}: {network}, {where}: {figures}")
                yield network, where, figures


def own(quick: bool) -> list[dict[str, Any]]:
    """One row per network and engine: medians over the rounds, also of the ratios in each."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for network, where, figures in _rounds(Path(name), 1 if quick else _ROUNDS, NETWORKS[: 1 if quick else None]):
            found.setdefault((network, where), []).append(figures)

    def row(network: str, where: str, rounds: list[dict[str, float]]) -> dict[str, Any]:
        def ratio(one: str, other: str) -> float:
            return statistics.median(figures[one] / figures[other] for figures in rounds)

        median = {what: statistics.median(figures[what] for figures in rounds) for what in rounds[0]}
        throughput = {what: median[what] for what in ("simulated, items/s", "real")}
        return {
            "network": network,
            "where": where,
            **throughput,
            "simulated / real": ratio("simulated, items/s", "real"),
            **{what: value for what, value in median.items() if what not in throughput},
            "p50: simulated / real": ratio("simulated p50, ms", "real p50"),
        }

    return [row(*key, rounds) for key, rounds in found.items()]
