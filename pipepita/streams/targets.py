"""What a stream's labels are to a network: what it is taught, and what its outputs say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pipepita.streams.items import Label

Said = int | float | list[float]  # what is predicted: a class, a number or several


class Scale(NamedTuple):
    """The mean and the standard deviation of some labels, (numbers,), float64."""

    mean: np.ndarray
    deviation: np.ndarray


class Targets(Protocol):
    """Labels on their way to the network, and outputs on their way to people."""

    def teach(self, labels: Sequence[Label]) -> Tensor:
        """What the network is taught of B items: classes, (B,) int64; or numbers, (B, count) float32."""

    def scale(self) -> Scale | None:
        """What `read` needs to know of the labels so far."""

    def read(self, output: Tensor, scale: Scale | None) -> list[Said]:
        """What B outputs, (B, classes), say of their items. scale: as it was when these were sent."""

    def state(self) -> dict[str, Any]:
        """What `load` needs, in numbers and lists of numbers."""

    def load(self, state: dict[str, Any]) -> None:
        """Continues from what `state` returned."""


class ClassTargets:
    """Classes: the network is taught them as they are, and predicts the one with the largest output."""

    def teach(self, labels: Sequence[Label]) -> Tensor:
        return torch.tensor(labels)

    def scale(self) -> None:
        return None

    def read(self, output: Tensor, scale: Scale | None) -> list[Said]:
        return list(output.argmax(1).tolist())

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Nothing to continue from."""


class NumberTargets:
    """Numbers, which are standardised by the mean and standard deviation of all labels so far, each its own among them.

    As in river's `TargetStandardScaler`, an item is predicted with what is known before its own label.

    Args:
        count: How many numbers there are for each item.

    Example:
        >>> targets = NumberTargets(1)
        >>> [round(float(one), 3) for one in targets.teach([(10.0,), (14.0,), (12.0,)])]
        [0.0, 0.707, 0.0]
        >>> targets.read(torch.tensor([[0.5]]), targets.scale())
        [13.0]
    """

    def __init__(self, count: int) -> None:
        self._items, self._mean, self._squared = 0, np.zeros(count), np.zeros(count)

    def teach(self, labels: Sequence[Label]) -> Tensor:
        targets = np.empty((len(labels), len(self._mean)), np.float32)
        for place, label in enumerate(labels):
            self._count(np.array(label))
            mean, deviation = self.scale()
            targets[place] = np.divide(label - mean, deviation, out=np.zeros_like(mean), where=deviation > 0)
        return torch.from_numpy(targets)

    def _count(self, label: np.ndarray) -> None:
        """Welford's method, since labels may be far from zero."""
        self._items += 1
        before, self._mean = self._mean, self._mean + (label - self._mean) / self._items
        self._squared = self._squared + (label - before) * (label - self._mean)

    def scale(self) -> Scale:
        return Scale(self._mean, np.sqrt(self._squared / max(self._items - 1, 1)))

    def read(self, output: Tensor, scale: Scale | None) -> list[Said]:
        assert scale is not None
        numbers = (output.double().numpy() * scale.deviation + scale.mean).tolist()
        return [row[0] if len(row) == 1 else row for row in numbers]

    def state(self) -> dict[str, Any]:
        return {"items": self._items, "mean": self._mean.tolist(), "squared": self._squared.tolist()}

    def load(self, state: dict[str, Any]) -> None:
        if state:
            self._items = int(state["items"])
            self._mean, self._squared = np.array(state["mean"]), np.array(state["squared"])


def targets_of(regression: bool, count: int) -> Targets:
    """For classes; or for so many numbers."""
    return NumberTargets(count) if regression else ClassTargets()
