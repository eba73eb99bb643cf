"""This machine measures itself, is simulated, and runs `online` for real: throughput, and latency at half of it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.common import note

NETWORKS = ("fc:64x2", "fc:256x3", "conv:16,3/pool:2/fc:64")
# (devices, their setup in the simulation, options of the real run)
WHERE = {
    "one process": ("here", "one device", ("--engine", "local")),
    "2 actors": ("here*2", "adaptive", ("--engine", "ray", "--stages", "2")),
}
_SAMPLES, _SELDOM, _ROUNDS = 2000, 200, 3
_SHARE = 1 / 3  # of the simulated capacity, at which latencies are compared


def _command(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipepita", *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout


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


def own(quick: bool) -> list[dict[str, Any]]:
    """One row per network and engine."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profiles = folder / "here.toml"
        _command("profile", "--name", "here", "--into", profiles, "--load-seconds", 0)
        import ray  # only for the address

        _command("profile", "--name", "air", "--into", profiles, "--link", ray.util.get_node_ip_address())
        for network in NETWORKS[:1] if quick else NETWORKS:
            for where, (devices, setup, options) in WHERE.items():
                capacity = _simulated(profiles, network, devices, setup, None)["capacity"]
                rate = _SHARE * capacity
                latency = _simulated(profiles, network, devices, setup, rate)["prediction_ms"]["p50"]
                fast, slow = [], []
                for _ in range(1 if quick else _ROUNDS):
                    fast.append(_real(folder, network, options, None)["items_per_second"])
                    slow.append(_real(folder, network, options, rate)["latency_ms"]["p50"])
                rows.append(
                    {
                        "network": network,
                        "where": where,
                        "simulated, items/s": capacity,
                        "real": statistics.median(fast),
                        "simulated / real": capacity / statistics.median(fast),
                        "simulated p50, ms": latency,
                        "real p50": statistics.median(slow),
                        "p50: simulated / real": latency / statistics.median(slow),
                    }
                )
                note(f"{network}, {where}: {rows[-1]}")
    return rows
