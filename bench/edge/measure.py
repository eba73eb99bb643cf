"""`python -m bench.edge`: the simulator against real time, and what a simulation costs as chains grow.

Chains of four devices run the same scenario under each schedule, in virtual time and on Ray actors that wait.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.common import note
from bench.edge.arriving import by_rate
from bench.edge.own import own
from pipepita.edge.arrivals import Queue, times
from pipepita.edge.chain import Chain, Link
from pipepita.edge.deployment import Deployment
from pipepita.edge.devices.profiles import LinkProfile, catalogue
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import simulate
from pipepita.edge.validation import validate
from pipepita.edge.world import ChainWorld
from pipepita.rules import Pepita
from pipepita.runs.options.reading import checked
from pipepita.schedule import Schedule, locked, relaxed
from pipepita.schedule.recurrence import run
from pipepita.schedule.world import Cost

# so slow that the actors, a few on two cores, spend their time waiting and not computing
_PROFILES = """
[devices.slow]
flops = "3M"
bandwidth = "100M"
ram = "1M"
idle_watts = "0.05"
active_watts = "0.5"

[devices.slower]
flops = "1M"
bandwidth = "100M"
ram = "1M"
idle_watts = "0.05"
active_watts = "0.5"
"""
CHAINS = {
    "equal devices": {"devices": "slow*4", "link": "fast-ethernet"},
    "one slow device": {"devices": "slow*2,slower,slow", "link": "fast-ethernet"},
    "slow link": {"devices": "slow*4", "link": "fast-ethernet,slow-4g,fast-ethernet"},
}
_COMMON = {
    "network": "fc:64x3",
    "normalize": True,
    "rule": "pepita:modulate=all,f_scale=0.05",
    "look_ahead": "off",
    "lr": 0.002,
    "optimizer": "sgd:momentum=0.9",
    "batch_size": 2,
    "assign": "1,1,1,1",
}


def in_real_time(quick: bool) -> list[dict[str, Any]]:
    """One row per chain and schedule: by how many percent real time differs from the simulation."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        profiles = Path(folder) / "slow.toml"
        profiles.write_text(_PROFILES)
        for name, chain in CHAINS.items():
            options = _COMMON | chain | {"profiles": profiles, "samples": 60 if quick else 400}
            simulation = simulate(checked(Scenario, options))
            for real in validate(simulation, lambda done, total, what: note(f"{name}: {what}")):  # noqa: B023
                differences = {f"{key}, %": f"{100 * value:+.1f}" for key, value in real.differences().items()}
                rows.append(
                    {
                        "chain": name,
                        "schedule": real.outcome.setup.name,
                        "simulated, samples/s": real.outcome.timing.throughput,
                        **differences,
                        "weights": "equal" if real.same_weights else "DIFFER",
                    }
                )
    return rows


def growing(quick: bool) -> list[dict[str, Any]]:
    """One row per size and schedule: seconds to simulate the timing of a chain with one layer per device."""
    rows = []
    for devices in (10, 100, 1000):
        for schedule in (locked(), relaxed(), Schedule("streaming", min(128, (devices + 2) // 2))):
            taken = min(_seconds(devices, schedule) for _ in range(1 if quick else 3))
            rows.append({"devices": devices, "samples": 1000, "schedule": schedule.name, "seconds": taken})
            note(f"{devices} devices, {schedule.name}: {taken:.2f} s")
    return rows


def _seconds(devices: int, schedule: Schedule) -> float:
    device, wifi = catalogue().device("rpi4"), catalogue().link("wifi")
    still = _without_jitter(wifi)
    chain = Chain((device,) * devices, (Link(wifi, wifi),) * (devices - 1), Link(still, still))
    parts = [range(layer, layer + 1) for layer in range(devices)]
    began = time.perf_counter()
    queue = Queue(times(50, "poisson", 0), 1000, 16, "block")
    deployment = Deployment(chain, parts, [Cost(0.001, 0.001, 0.001)] * devices)
    run(schedule, ChainWorld(deployment, defaultdict(lambda: 4096), queue), 1000, Pepita(modulate="input"))
    return time.perf_counter() - began


def _without_jitter(link: LinkProfile) -> LinkProfile:
    return LinkProfile(link.name, link.title, link.delay, 0.0, link.rate, link.loss)


def measure(quick: bool) -> list[dict[str, Any]]:
    """All tables."""
    return in_real_time(quick) + by_rate(quick) + growing(quick) + own(quick)
