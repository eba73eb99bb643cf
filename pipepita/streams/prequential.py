"""Prequential evaluation: each item is predicted, then its label is seen; with an eye on drifts of the errors."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from pipepita.errors import UserError, unknown
from pipepita.streams.river_source import river


@dataclass(frozen=True)
class Detector:
    """A drift detector of river: its module and class."""

    module: str
    kind: str
    draws: bool = False  # takes a seed
    of_rights: bool = False  # is told 1 where a prediction is right, not where it is wrong


DETECTORS = {
    "adwin": Detector("drift", "ADWIN"),
    "ddm": Detector("drift.binary", "DDM"),
    "eddm": Detector("drift.binary", "EDDM"),
    "fhddm": Detector("drift.binary", "FHDDM", of_rights=True),
    "hddm-a": Detector("drift.binary", "HDDMA"),
    "hddm-w": Detector("drift.binary", "HDDMW"),
    "kswin": Detector("drift", "KSWIN", draws=True),
    "page-hinkley": Detector("drift", "PageHinkley"),
}

_MOST_POINTS = 1000


class Prequential:
    """Accuracy over all items and over the last `window`, and where a drift detector sees the errors change.

    detector: None, or a name of `DETECTORS`, river's with river's defaults; it is told of each error.
    seed: of a detector that draws. detected: the indices, from 0, of the items at which it found a drift.
    Raises `UserError` for an unknown detector and a window that is none.
    """

    def __init__(self, window: int = 500, *, detector: str | None = None, seed: int = 0) -> None:
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise UserError(f"window is {window!r}: it must be a whole number, at least 1")
        self.items = 0
        self.detected: list[int] = []
        self._detector: Any = None
        self._counted = False  # which kind of prediction the detector is told 1 for: right ones, or wrong ones
        if detector is not None:
            self._detector, self._counted = _make(detector, seed)
        self._right = 0
        self._recent: deque[bool] = deque(maxlen=window)
        self._right_recently = 0
        self._points: list[tuple[int, float]] = []
        self._step = 1

    def add(self, prediction: int, label: int) -> bool:
        """Counts one item; whether the detector finds a drift at it."""
        right = bool(prediction == label)
        recent = self._recent
        if len(recent) == recent.maxlen:
            self._right_recently -= recent[0]
        recent.append(right)
        self._right_recently += right
        self._right += right
        if self.items % self._step == 0:
            self._draw()
        self.items += 1
        if self._detector is None:
            return False
        self._detector.update(int(right == self._counted))
        if self._detector.drift_detected:
            self.detected.append(self.items - 1)
            return True
        return False

    @property
    def accuracy(self) -> float:
        """Percent of all items that were predicted rightly; NaN before the first."""
        return 100 * self._right / self.items if self.items else math.nan

    @property
    def windowed(self) -> float:
        """Percent of the last `window` items (or of all, while there are fewer); NaN before the first."""
        return 100 * self._right_recently / len(self._recent) if self._recent else math.nan

    @property
    def curve(self) -> list[tuple[int, float]]:
        """(index of an item, `windowed` just after it): at most a thousand, evenly spaced, and the latest."""
        if self.items and self._points[-1][0] != self.items - 1:
            return [*self._points, (self.items - 1, self.windowed)]
        return list(self._points)

    def _draw(self) -> None:
        self._points.append((self.items, self.windowed))
        if len(self._points) == _MOST_POINTS:
            self._points = self._points[::2]
            self._step *= 2


def _make(name: str, seed: int) -> tuple[Any, bool]:
    """The detector, and whether it is told 1 for right predictions instead of wrong ones."""
    if name not in DETECTORS:
        raise unknown("drift detector", name, DETECTORS)
    found = DETECTORS[name]
    kind = getattr(river(found.module), found.kind)
    return kind(seed=seed) if found.draws else kind(), found.of_rights
