"""The results of a run over some items: how many they were, how good the outputs were, and how fast."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from pipepita.pipeline.scores import ClassScores, NumberScores, Scores, rounded

_COUNTED_TOGETHER = 32  # the scores of so many samples are summed at once, so that the next sample rarely waits for it


@dataclass
class Tally:
    """The results of a run over some items.

    Attributes:
        items: How many items there were.
        steps: How many samples there were.
        seconds: How long the run took.
        completed: When each sample's error was known, in seconds of this host's monotonic clock.
    """

    items: int = 0
    steps: int = 0
    seconds: float = 0.0
    completed: list[float] = field(default_factory=list)
    _scores: Scores = field(default_factory=ClassScores)
    _uncounted: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def copy(self) -> Tally:
        """A copy of the tally as it is now."""
        return replace(self, completed=list(self.completed), _scores=copy.copy(self._counted()), _uncounted=[])

    def sums(self) -> dict[str, Any]:
        """Everything except the times of single samples, as numbers from which `Tally.of` makes a tally again."""
        return {"items": self.items, "steps": self.steps, "seconds": self.seconds, **self._counted().sums()}

    @classmethod
    def of(cls, sums: dict[str, Any]) -> Tally:
        """Makes a tally from what `sums` returned. Raises `KeyError` if a number is missing."""
        scores = (NumberScores if "squared" in sums else ClassScores).of(sums)
        return cls(int(sums["items"]), int(sums["steps"]), float(sums["seconds"]), [], scores)

    def add(self, output: Tensor, labels: Tensor) -> None:
        """Adds one sample. It keeps a copy of the output, but the labels themselves: do not change them.

        Args:
            output: (B, classes), float32: probabilities of classes, or predicted numbers.
            labels: Classes, (B,), int64; or numbers, (B, classes), float32.
        """
        self.steps += 1
        self.items += len(labels)
        self._uncounted.append((output.clone(), labels))
        if len(self._uncounted) == _COUNTED_TOGETHER:
            self._counted()

    def _counted(self) -> Scores:
        """The scores of all samples."""
        if self._uncounted:
            outputs, labels = (torch.cat(parts) for parts in zip(*self._uncounted, strict=True))
            self._uncounted.clear()
            if not self._scores.items and labels.is_floating_point():
                self._scores = NumberScores()
            self._scores.add(outputs, labels)
        return self._scores

    def figures(self) -> dict[str, float]:
        """The results by name: "loss", and "accuracy" or "mae", "rmse" and "r2". NaN before the first item."""
        return self._counted().figures()

    def rounded(self) -> dict[str, float | None]:
        """The same as JSON has them."""
        return rounded(self.figures())

    @property
    def loss(self) -> float:
        """The mean cross-entropy in nats; or half the squared error, if numbers are predicted."""
        return self.figures()["loss"]

    @property
    def accuracy(self) -> float:
        """The share of items that were classified correctly, in percent; NaN if numbers are predicted."""
        return self.figures().get("accuracy", math.nan)

    @property
    def step_ms(self) -> list[float]:
        """The milliseconds from each sample's error to the next one's."""
        return [1000 * (b - a) for a, b in zip(self.completed, self.completed[1:], strict=False)]
