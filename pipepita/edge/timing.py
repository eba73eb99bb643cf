"""What a run came to in time and energy: throughput, drops, latencies and where they come from, how busy who was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipepita.edge.arrivals import Taken
from pipepita.edge.profiles import DeviceProfile
from pipepita.schedule.recurrence import Arrival

_QUANTILES = (50, 95, 99)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a sample's arrival. p50, p95, p99; and the mean's parts.

    queue: waiting to enter, or for a device that is busy. compute, transfer: on the way. label: waiting for it.
    """

    p50: float
    p95: float
    p99: float
    queue: float
    compute: float
    transfer: float
    label: float = 0.0


@dataclass(frozen=True)
class Timing:
    """offered, served: samples. seconds: from the first arrival to the last update. throughput: served, over seconds.

    busy: each device's share of the time. joules: a sample, of all devices. prediction: until its output is known.
    update: until every layer has learnt.
    """

    offered: int
    served: int
    seconds: float
    throughput: float
    prediction: Latency
    update: Latency
    busy: tuple[float, ...]
    joules: float

    @property
    def dropped_share(self) -> float:
        """Of the samples that arrived."""
        return 1 - self.served / self.offered


def timing(
    taken: Sequence[Taken],
    outputs: Sequence[Arrival],
    updates: Sequence[Arrival],
    late: Sequence[float],
    busy: Sequence[float],
    devices: Sequence[DeviceProfile],
    offered: int,
) -> Timing:
    """From each sample's way, seconds. late: how long labels held errors up; empty where they are not waited for."""
    seconds = max(update.time for update in updates) - taken[0].arrived
    return Timing(
        offered,
        len(taken),
        seconds,
        len(taken) / seconds,
        _latency(taken, outputs, []),
        _latency(taken, updates, late),
        tuple(share / seconds for share in busy),
        energy(devices, busy, seconds) / len(taken),
    )


def settled_rate(times: Sequence[float]) -> float:
    """Samples a second, from when each was done, but for the first quarter and last eighth: it fills and drains."""
    settled = times[len(times) // 4 : len(times) - len(times) // 8]
    if len(settled) < 2 or settled[-1] <= settled[0]:
        return float("nan")
    return (len(settled) - 1) / (settled[-1] - settled[0])


def energy(devices: Sequence[DeviceProfile], busy: Sequence[float], seconds: float) -> float:
    """Joules of all devices: idle power the whole time, and what computing takes on top while they are busy."""
    return sum(
        device.idle_watts * seconds + (device.active_watts - device.idle_watts) * share
        for device, share in zip(devices, busy, strict=True)
    )


def _latency(taken: Sequence[Taken], there: Sequence[Arrival], late: Sequence[float]) -> Latency:
    whole = 1000 * np.array([arrival.time - sample.arrived for arrival, sample in zip(there, taken, strict=True)])
    compute = 1000 * float(np.mean([arrival.computed for arrival in there]))
    transfer = 1000 * float(np.mean([arrival.travelled for arrival in there]))
    label = 1000 * float(np.mean(late)) if len(late) else 0.0
    p50, p95, p99 = (float(value) for value in np.percentile(whole, _QUANTILES))
    queue = float(whole.mean()) - compute - transfer - label
    return Latency(p50, p95, p99, max(0.0, queue), compute, transfer, label)
