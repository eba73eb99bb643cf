"""How late each schedule learns, by how many samples arrive: on four Raspberry Pi 4 and Wi-Fi, in virtual time."""

from __future__ import annotations

from typing import Any

from bench.common import note
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import simulate
from pipepita.runs.options.reading import checked

RATES = (10, 50, 100, 200, 350)
_CHAIN = {"devices": "rpi4*4", "link": "wifi", "network": "fc:256x3", "timing_only": True}


def by_rate(quick: bool) -> list[dict[str, Any]]:
    """One row per rate: the 95th percentile of the milliseconds from arrival to update, and the capacities."""
    rows = []
    for rate in RATES:
        options = _CHAIN | {"rate": float(rate), "samples": 300 if quick else 3000}
        outcomes = simulate(checked(Scenario, options), pictures=False).outcomes
        chain = {outcome.setup.name: outcome for outcome in outcomes if len(outcome.setup.parts) > 1}
        rows.append(
            {
                "samples per second": rate,
                **{f"{name}: update p95, ms": outcome.timing.update.p95 for name, outcome in chain.items()},
                **{f"{name}: capacity": chain[name].capacity for name in ("streaming", "adaptive")},
            }
        )
        note(f"{rate} per second: {rows[-1]}")
    return rows
