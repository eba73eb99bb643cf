"""Prequential evaluation: each item is predicted before its label is seen, and a detector watches for drifts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch

from pipepita.errors import UserError, unknown
from pipepita.pipeline.scores import NumberScores
from pipepita.streams.items import Label
from pipepita.streams.river_source import river
from pipepita.streams.targets import Said


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

    @property
    def of_numbers(self) -> bool:
        """Whether it can also be told how large an error is."""
        return self.module == "drift"


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


class Prequential(ABC):
    """How good predictions are over all items and over the last `window` of them, and where a detector finds a change.

    Args:
        window: Items of the sliding figure.
        detector: A name of `DETECTORS`, which are river's with river's defaults; None for none.
        seed: Of a detector that draws.

    Attributes:
        items: How many items were counted.
        detected: The indices, from 0, of the items at which the detector found a drift.

    Raises:
        UserError: The detector is unknown or does not suit, or the window is no whole number of at least 1.
    """

    def __init__(self, window: int = 500, *, detector: str | None = None, seed: int = 0) -> None:
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise UserError(f"window is {window!r}: it must be a whole number, at least 1")
        self.items = 0
        self.detected: list[int] = []
        self.window = window
        self._detector = None if detector is None else self._make(detector, seed)
        self._points: list[tuple[int, float]] = []
        self._step = 1

    def add(self, prediction: Said, label: Label) -> bool:
        """Counts one item. Returns whether the detector finds a drift at it."""
        told = self._count(prediction, label)
        if self.items % self._step == 0:
            self._add_point()
        self.items += 1
        if self._detector is None:
            return False
        self._detector.update(told)
        if self._detector.drift_detected:
            self.detected.append(self.items - 1)
            return True
        return False

    @abstractmethod
    def _count(self, prediction: Any, label: Any) -> float:
        """Counts one item. Returns what the detector is told of it."""

    def _make(self, name: str, seed: int) -> Any:
        """The detector."""
        if name not in DETECTORS:
            raise unknown("drift detector", name, DETECTORS)
        chosen = DETECTORS[name]
        kind = getattr(river(chosen.module), chosen.kind)
        return kind(seed=seed) if chosen.takes_seed else kind()

    @property
    @abstractmethod
    def windowed(self) -> float:
        """The sliding figure, over the last `window` items (or all, while there are fewer); NaN before the first."""

    @property
    @abstractmethod
    def axis(self) -> str:
        """What curves call `windowed`."""

    @abstractmethod
    def figures(self) -> dict[str, float]:
        """All figures by name, the sliding one last; NaN before the first item."""

    @abstractmethod
    def shown(self) -> dict[str, str]:
        """The figures for people, by what tables call them; "-" before the first item."""

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


class ClassPrequential(Prequential):
    """Accuracy: how many percent of the items were predicted rightly.

    Example:
        >>> score = ClassPrequential(window=2)
        >>> [score.add(prediction, label=1) for prediction in (1, 0, 1)]
        [False, False, False]
        >>> score.windowed
        50.0
    """

    def __init__(self, window: int = 500, *, detector: str | None = None, seed: int = 0) -> None:
        super().__init__(window, detector=detector, seed=seed)
        # whether the detector is told 1 for a right prediction
        self._counts_right = detector is not None and DETECTORS[detector].counts_right
        self._right = self._right_recently = 0
        self._recent: deque[bool] = deque(maxlen=window)

    def _count(self, prediction: int, label: int) -> float:
        right = bool(prediction == label)
        recent = self._recent
        if len(recent) == recent.maxlen:
            self._right_recently -= recent[0]
        recent.append(right)
        self._right_recently += right
        self._right += right
        return int(right == self._counts_right)

    @property
    def accuracy(self) -> float:
        """Percent of all items that were predicted rightly; NaN before the first."""
        return 100 * self._right / self.items if self.items else math.nan

    @property
    def windowed(self) -> float:
        return 100 * self._right_recently / len(self._recent) if self._recent else math.nan

    @property
    def axis(self) -> str:
        return f"right of the last {self.window}, %"

    def figures(self) -> dict[str, float]:
        return {"accuracy": self.accuracy, "sliding_accuracy": self.windowed}

    def shown(self) -> dict[str, str]:
        words = [f"{value:.2f}" if math.isfinite(value) else "-" for value in self.figures().values()]
        return dict(zip(("accuracy %", f"last {self.window} %"), words, strict=True))


class NumberPrequential(Prequential):
    """MAE, RMSE and R2 of numbers, in the labels' own units, as river's metrics of these names have them.

    With several numbers for each item: their mean (of the squared errors, for RMSE). A detector is told the absolute
    error.

    Raises:
        UserError: As above; or the detector is one of those that only count right and wrong.

    Example:
        >>> score = NumberPrequential(window=2)
        >>> for prediction, label in ((1.0, 2.0), (4.0, 4.0), (5.0, 6.0)):
        ...     drift = score.add(prediction, (label,))
        >>> score.windowed, {name: round(figure, 3) for name, figure in score.figures().items()}
        (0.5, {'mae': 0.667, 'rmse': 0.816, 'r2': 0.75, 'sliding_mae': 0.5})
    """

    def __init__(self, window: int = 500, *, detector: str | None = None, seed: int = 0) -> None:
        if detector in DETECTORS and not DETECTORS[detector].of_numbers:
            suited = ", ".join(name for name, one in DETECTORS.items() if one.of_numbers)
            raise UserError(f"detector {detector} counts right and wrong predictions; for numbers there are {suited}")
        super().__init__(window, detector=detector, seed=seed)
        self._scores = NumberScores()
        self._recent: deque[float] = deque(maxlen=window)

    def _count(self, prediction: float | list[float], label: tuple[float, ...]) -> float:
        said, right = (torch.tensor(values, dtype=torch.float64).view(1, -1) for values in (prediction, label))
        self._scores.add(said, right)
        self._recent.append(float((said - right).abs().mean()))
        return self._recent[-1]

    @property
    def windowed(self) -> float:
        return math.fsum(self._recent) / len(self._recent) if self._recent else math.nan

    @property
    def axis(self) -> str:
        return f"mean absolute error of the last {self.window}"

    def figures(self) -> dict[str, float]:
        figures = self._scores.figures()
        return {name: figures[name] for name in ("mae", "rmse", "r2")} | {"sliding_mae": self.windowed}

    def shown(self) -> dict[str, str]:
        words = [f"{value:.4g}" if math.isfinite(value) else "-" for value in self.figures().values()]
        return dict(zip(("MAE", "RMSE", "R2", f"MAE of last {self.window}"), words, strict=True))


def prequential(
    regression: bool, window: int = 500, *, detector: str | None = None, seed: int = 0
) -> ClassPrequential | NumberPrequential:
    """For numbers if `regression`, else for classes. The other arguments and the errors are those of `Prequential`.

    Example:
        >>> score = prequential(regression=False, window=100)
        >>> score.add(prediction=3, label=3)
        False
        >>> score.figures()
        {'accuracy': 100.0, 'sliding_accuracy': 100.0}
    """
    return (NumberPrequential if regression else ClassPrequential)(window, detector=detector, seed=seed)
