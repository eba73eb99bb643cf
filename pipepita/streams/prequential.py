"""Prequential evaluation: each item is predicted before its label is seen, and a detector watches for drifts."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from pipepita.errors import UserError, unknown
from pipepita.streams.river_source import river


@dataclass(frozen=True)
class Detector:
    """A drift detector of river.

    Attributes:
        module: Its module within river.
        kind: Its class.
        takes_seed: Whether it draws.
        counts_right: Whether it is told 1 for a right prediction, instead of for a wrong one.
    """

    module: str
    kind: str
    takes_seed: bool = False
    counts_right: bool = False


DETECTORS = {
    "adwin": Detector("drift", "ADWIN"),
    "ddm": Detector("drift.binary", "DDM"),
    "eddm": Detector("drift.binary", "EDDM"),
    "fhddm": Detector("drift.binary", "FHDDM", counts_right=True),
    "hddm-a": Detector("drift.binary", "HDDMA"),
    "hddm-w": Detector("drift.binary", "HDDMW"),
    "kswin": Detector("drift", "KSWIN", takes_seed=True),
    "page-hinkley": Detector("drift", "PageHinkley"),
}

_MOST_POINTS = 1000


class Prequential:
    """Accuracy over all items and over the last `window` of them, and where a drift detector finds a change.

    Args:
        window: Items of the sliding accuracy.
        detector: A name of `DETECTORS`, which are river's with river's defaults; None for none.
        seed: Of a detector that draws.

    Attributes:
        items: How many items were counted.
        detected: The indices, from 0, of the items at which the detector found a drift.

    Raises:
        UserError: The detector is unknown, or the window is no whole number of at least 1.

    Example:
        >>> score = Prequential(window=2)
        >>> [score.add(prediction, label=1) for prediction in (1, 0, 1)]
        [False, False, False]
        >>> score.windowed
        50.0
    """

    def __init__(self, window: int = 500, *, detector: str | None = None, seed: int = 0) -> None:
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise UserError(f"window is {window!r}: it must be a whole number, at least 1")
        self.items = 0
        self.detected: list[int] = []
        self._detector: Any = None
        self._counts_right = False  # whether the detector is told 1 for a right prediction
        if detector is not None:
            self._detector, self._counts_right = _make(detector, seed)
        self._right = 0
        self._recent: deque[bool] = deque(maxlen=window)
        self._right_recently = 0
        self._points: list[tuple[int, float]] = []
        self._step = 1

    def add(self, prediction: int, label: int) -> bool:
        """Counts one item. Returns whether the detector finds a drift at it."""
        right = bool(prediction == label)
        recent = self._recent
        if len(recent) == recent.maxlen:
            self._right_recently -= recent[0]
        recent.append(right)
        self._right_recently += right
        self._right += right
        if self.items % self._step == 0:
            self._add_point()
        self.items += 1
        if self._detector is None:
            return False
        self._detector.update(int(right == self._counts_right))
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

    def _add_point(self) -> None:
        self._points.append((self.items, self.windowed))
        if len(self._points) == _MOST_POINTS:
            self._points = self._points[::2]
            self._step *= 2


def _make(name: str, seed: int) -> tuple[Any, bool]:
    """The detector, and whether it is told 1 for a right prediction."""
    if name not in DETECTORS:
        raise unknown("drift detector", name, DETECTORS)
    chosen = DETECTORS[name]
    kind = getattr(river(chosen.module), chosen.kind)
    return kind(seed=seed) if chosen.takes_seed else kind(), chosen.counts_right
