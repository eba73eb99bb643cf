"""From timed runs to figures: medians over rounds, percentiles over samples, and the distance to the ceiling."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipepita.planning.contender import TimedRun
from pipepita.runs.result import quantiles
from pipepita.timeline.reading import Timeline

SCHEDULE_ORDER = ("locked", "relaxed", "streaming")


@dataclass
class Latency:
    """The result of `latency`.

    Attributes:
        summary: What `pipepita latency --json` prints, but for the network's name. Times are milliseconds; speed-ups
            are over locked. "schedules" has by name: "period_ms" (of a sample), "items_per_second", "latency_ms" (from
            a sample's admission to its prediction and its last update), "lock_ms" (of each layer), "speedup", "ceiling"
            (the speed-up of the closed form), "efficiency" (the closed form's period over the measured one), ...
        timelines: The timeline of each schedule's last run, by the schedule's name.
        firsts: The first sample of each of these timelines that counts; the ones before are warm-up.
    """

    summary: dict[str, Any]
    timelines: dict[str, Timeline] = field(repr=False)
    firsts: dict[str, int] = field(repr=False)


@dataclass(frozen=True)
class Closed:
    """What the closed form says about one schedule.

    Attributes:
        period_ms: Its period if hops cost nothing.
        speedup: Its speed-up over locked if hops cost nothing.
        speedup_with_hops: Its speed-up over locked if every hop costs what was measured. Locked has the most of them.
    """

    period_ms: float
    speedup: float
    speedup_with_hops: float


def median_hop_ms(runs: Sequence[TimedRun]) -> float:
    """The median of a hop between two stages, from the start of sending to the end of receiving; 0 if there is none."""
    parts = [_pooled(runs, lambda r, key=key: r.timeline.hops_ms(r.first)[key]) for key in ("send", "wake")]
    return float(np.median(np.sum(parts, axis=0))) if parts[0] else 0.0


def schedule_figures(
    runs: Sequence[TimedRun],
    baseline: Sequence[TimedRun],
    *,
    window: int,
    batch_size: int,
    layers: int,
    closed: Closed,
) -> dict[str, Any]:
    """One schedule's entry in the summary. runs: one per round. baseline: locked's runs of the same rounds."""
    period = statistics.median(run.period_ms for run in runs)
    gains = [base.period_ms / run.period_ms for base, run in zip(baseline, runs, strict=True)]
    last = runs[-1]
    stages = range(len(last.timeline.stages))
    hops = {key: _pooled(runs, lambda r, key=key: r.timeline.hops_ms(r.first)[key]) for key in ("send", "wake")}
    return {
        "window": window,
        "period_ms": round(period, 4),
        "items_per_second": round(1000 * batch_size / period, 1),
        "latency_ms": {
            "prediction": quantiles(_pooled(runs, lambda r: r.timeline.prediction_ms(r.first))),
            "update": quantiles(_pooled(runs, lambda r: r.timeline.update_ms(r.first))),
        },
        "lock_ms": [
            _median(_pooled(runs, lambda r, layer=layer: r.timeline.lock_ms(layer, r.first)))
            for layer in range(1, layers + 1)
        ],
        "speedup": round(statistics.median(gains), 4),
        "speedup_range": [round(min(gains), 4), round(max(gains), 4)],
        "closed_form_ms": round(closed.period_ms, 4),
        "ceiling": round(closed.speedup, 4),
        "ceiling_with_hops": round(closed.speedup_with_hops, 4),
        "efficiency": round(closed.period_ms / period, 4),
        "stage_ms": [_means([run.timeline.shares_ms(stage, run.first) for run in runs]) for stage in stages],
        "hop_ms": {
            "send": quantiles(hops["send"]),
            "wake": quantiles(hops["wake"]),
            "waited_for": len(hops["wake"]),
        },
    }


def _pooled(runs: Sequence[TimedRun], figures: Any) -> list[float]:
    return [float(value) for run in runs for value in figures(run)]


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 4) if values else None


def _means(rounds: list[dict[str, float]]) -> dict[str, float]:
    keys = dict.fromkeys(key for shares in rounds for key in shares)
    return {key: round(statistics.median(shares.get(key, 0.0) for shares in rounds), 4) for key in keys}
