"""The time and energy of a run: throughput, drops, latencies and their parts, and how busy each device was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipepita.edge.arrivals import Taken
from pipepita.edge.devices.profiles import DeviceProfile
from pipepita.schedule.course import Arrival

_QUANTILES = (50, 95, 99)


@dataclass(frozen=True)
class LatencyFigures:
    """Milliseconds since a sample's arrival: the quantiles p50, p95 and p99, and the parts of the mean.

    Attributes:
        queue: Waiting to enter, or for a busy device.
        compute, transfer: On the way.
        label: Waiting for the label.
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
    """The timing of a run.

    Attributes:
        offered, served: How many samples arrived, and how many were learnt from.
        seconds: From the arrival of the first sample that entered, to the last update.
        throughput: Samples served per second.
        prediction: Until the output is known.
        update: Until every layer has learnt.
        busy: Each device's share of the time, 0 to 1.
        watts: The mean power of each device; NaN if that is not known.
    """

    offered: int
    served: int
    seconds: float
    throughput: float
    prediction: LatencyFigures
    update: LatencyFigures
    busy: tuple[float, ...]
    watts: tuple[float, ...]

    @property
    def joules(self) -> float:
        """Energy per sample, of all devices."""
        return sum(self.watts) / self.throughput

    def samples_until_empty(self, batteries: Sequence[float]) -> tuple[float, ...]:
        """How many samples are served until each device's battery is empty. batteries: their joules."""
        return tuple(
            self.throughput * battery / watts if watts else math.inf
            for battery, watts in zip(batteries, self.watts, strict=True)
        )

    @property
    def dropped_share(self) -> float:
        """The share of the samples that were dropped, 0 to 1."""
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
    """The timing of a run from the way of each sample, in seconds.

    late: how long each sample's error waited for its label; empty if that is not known. busy: for how long each device
    worked. offered: how many samples arrived.
    """
    seconds = max(update.time for update in updates) - taken[0].arrived
    return Timing(
        offered,
        len(taken),
        seconds,
        len(taken) / seconds,
        _latency(taken, outputs, []),
        _latency(taken, updates, late),
        tuple(share / seconds for share in busy),
        power(devices, busy, seconds),
    )


def settled_rate(times: Sequence[float]) -> float:
    """Samples per second from when each was done, without the first quarter (it fills) and last eighth (it drains).

    NaN if that leaves fewer than two moments.
    """
    settled = times[len(times) // 4 : len(times) - len(times) // 8]
    if len(settled) < 2 or settled[-1] <= settled[0]:
        return float("nan")
    return (len(settled) - 1) / (settled[-1] - settled[0])


def power(devices: Sequence[DeviceProfile], busy: Sequence[float], seconds: float) -> tuple[float, ...]:
    """Mean watts of each device: idle power the whole time, and what computing takes on top while it is busy."""
    return tuple(
        device.idle_watts + (device.active_watts - device.idle_watts) * share / seconds
        for device, share in zip(devices, busy, strict=True)
    )


def _latency(taken: Sequence[Taken], arrivals: Sequence[Arrival], late: Sequence[float]) -> LatencyFigures:
    whole = 1000 * np.array([arrival.time - sample.arrived for arrival, sample in zip(arrivals, taken, strict=True)])
    compute = 1000 * float(np.mean([arrival.computed for arrival in arrivals]))
    transfer = 1000 * float(np.mean([arrival.travelled for arrival in arrivals]))
    label = 1000 * float(np.mean(late)) if len(late) else 0.0
    p50, p95, p99 = (float(value) for value in np.percentile(whole, _QUANTILES))
    queue = float(whole.mean()) - compute - transfer - label
    return LatencyFigures(p50, p95, p99, max(0.0, queue), compute, transfer, label)
