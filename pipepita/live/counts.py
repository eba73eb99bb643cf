"""How an online run goes: how many items of what kind, how right and how late the predictions were."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipepita.streams.items import Label
from pipepita.streams.prequential import Prequential
from pipepita.streams.targets import Said, Scale

_LATENCIES = 10_000  # the latest, of which the quantiles are taken


@dataclass
class Counts:
    """The figures of a run.

    Attributes:
        score: How good the predictions are, and a drift detector.
        predicted: How many items were predicted.
        learnt: How many were learnt from.
        refused: How many lines were refused, by what was wrong with them.
        odd: How many labels, ids and items could not be used, by why.
        alarms: At which items, from 0 and of those whose labels are known, the detector found a drift; only what nobody
            has been told yet.
        scale: If numbers are predicted: the mean and standard deviation of the labels so far. The network's outputs,
            times the deviation, plus the mean, are in the labels' own units.

    Example:
        >>> from pipepita.streams import prequential
        >>> counts = Counts(prequential(regression=False))
        >>> counts.prediction(milliseconds=1.5)
        >>> counts.scored(predicted=3, label=3)
        >>> counts.figures(dropped=0)["accuracy"]
        100.0
    """

    score: Prequential
    predicted: int = 0
    learnt: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    alarms: list[int] = field(default_factory=list)
    scale: Scale | None = None
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))
    _began: float | None = None  # when the first prediction was made

    def prediction(self, milliseconds: float) -> None:
        """One more prediction, so long after its item arrived."""
        self._began = self._began or time.monotonic()
        self.predicted += 1
        self._latencies.append(milliseconds)

    def scored(self, predicted: Said, label: Label) -> None:
        """One more label is known, of an item that was predicted."""
        if self.score.add(predicted, label):
            self.alarms.append(self.score.items - 1)

    def figures(self, dropped: int) -> dict[str, Any]:
        """All figures as JSON has them. dropped: by the inbox."""
        quantiles = np.percentile(self._latencies, (50, 95, 99)).tolist() if self._latencies else [math.nan] * 3
        seconds = 0.0 if self._began is None else time.monotonic() - self._began
        return {
            "items": self.predicted,
            "learnt": self.learnt,
            **{name: _rounded(figure) for name, figure in self.score.figures().items()},
            **(
                {}
                if self.scale is None
                else {
                    "label_mean": self.scale.mean.tolist(),
                    "label_deviation": self.scale.deviation.tolist(),
                }
            ),
            "drifts": list(self.score.detected),
            "latency_ms": {name: _rounded(value) for name, value in zip(("p50", "p95", "p99"), quantiles, strict=True)},
            "items_per_second": _rounded(self.predicted / seconds) if seconds else None,
            "dropped": dropped,
            "refused": dict(self.refused),
            "odd": dict(self.odd),
        }


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
