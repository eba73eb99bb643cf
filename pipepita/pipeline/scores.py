"""How good outputs are: by classes, accuracy and cross-entropy; by numbers, squared and absolute errors and R2."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, Self

import torch
from torch import Tensor

_TINY = torch.finfo(torch.float32).tiny


def rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures as JSON has them: accuracy with four digits after the point, others with six; None for NaN."""
    return {
        name: round(figure, 4 if name == "accuracy" else 6) if math.isfinite(figure) else None
        for name, figure in figures.items()
    }


def headline(figures: Mapping[str, Any], part: str = "") -> str:
    """The most telling one of some figures, for people: accuracy, or R2.

    Args:
        figures: As `rounded` returns them.
        part: What stands before their names, like "test_".

    Example:
        >>> headline({"loss": 0.49, "accuracy": 97.5}), headline({"test_r2": 0.875}, "test_")
        ('97.50 %', 'R2 0.875')
    """
    name, words = ("accuracy", "{:.2f} %") if f"{part}accuracy" in figures else ("r2", "R2 {:.3f}")
    value = figures.get(f"{part}{name}")
    return "-" if value is None else words.format(value)


class Scores(Protocol):
    """Sums over the items of a run so far.

    Attributes:
        items: How many items were added.
    """

    items: int

    def add(self, outputs: Tensor, labels: Tensor) -> None:
        """Adds items.

        Args:
            outputs: (B, classes), float32: probabilities of classes, or predicted numbers.
            labels: Classes, (B,), int64; or numbers, (B, classes), float32.
        """

    def figures(self) -> dict[str, float]:
        """The results by name; "loss" is one of them, whatever the labels are. NaN before the first item."""

    def sums(self) -> dict[str, Any]:
        """Everything but `items`, in numbers and lists of numbers."""

    @classmethod
    def of(cls, sums: dict[str, Any]) -> Self:
        """Makes the same again, from what `sums` returned and `items`. Raises `KeyError` if something is missing.

        Example:
            >>> ClassScores.of({"items": 2, "loss_sum": 1.5, "correct": 1}).figures()
            {'loss': 0.75, 'accuracy': 50.0}
        """


class ClassScores:
    """Of classes: "loss", the mean cross-entropy in nats; "accuracy", in percent.

    Example:
        >>> scores = ClassScores()
        >>> scores.add(torch.tensor([[0.5, 0.5], [0.25, 0.75]]), torch.tensor([0, 1]))
        >>> {name: round(figure, 3) for name, figure in scores.figures().items()}
        {'loss': 0.49, 'accuracy': 100.0}
    """

    def __init__(self, items: int = 0, loss_sum: float = 0.0, correct: int = 0) -> None:
        self.items, self._loss_sum, self._correct = items, loss_sum, correct

    def add(self, outputs: Tensor, labels: Tensor) -> None:
        self.items += len(labels)
        chosen = outputs.gather(1, labels[:, None])
        # in double precision, so that the result does not depend on how many are summed at once
        self._loss_sum -= float(chosen.clamp_min_(_TINY).log_().double().sum())
        self._correct += int((outputs.argmax(1) == labels).sum())

    def figures(self) -> dict[str, float]:
        if not self.items:
            return {"loss": math.nan, "accuracy": math.nan}
        return {"loss": self._loss_sum / self.items, "accuracy": 100 * self._correct / self.items}

    def sums(self) -> dict[str, Any]:
        return {"loss_sum": self._loss_sum, "correct": self._correct}

    @classmethod
    def of(cls, sums: dict[str, Any]) -> Self:
        return cls(int(sums["items"]), float(sums["loss_sum"]), int(sums["correct"]))


class NumberScores:
    """Of numbers: "loss", half the squared error of an item; "mae" and "rmse", in the labels' units; "r2".

    R2 is 1 minus the squared error over that of the labels' own mean. With several numbers for each item, mae and r2
    are means over them, and rmse is the root of the mean of their squared errors.

    Example:
        >>> scores = NumberScores()
        >>> scores.add(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.5], [3.5]]))
        >>> {name: round(figure, 3) for name, figure in scores.figures().items()}
        {'loss': 0.625, 'mae': 1.0, 'rmse': 1.118, 'r2': -0.25}
    """

    def __init__(self, items: int = 0) -> None:
        self.items = items
        self._absolute = self._squared = self._mean = self._spread = torch.zeros(0, dtype=torch.float64)

    def add(self, outputs: Tensor, labels: Tensor) -> None:
        errors, labels = outputs.double() - labels.double(), labels.double()
        if not self.items:
            self._absolute = self._squared = self._mean = self._spread = labels.new_zeros(labels.shape[1])
        self._absolute = self._absolute + errors.abs().sum(0)
        self._squared = self._squared + errors.square().sum(0)
        # mean and squared distances of all so far (Chan, Golub & LeVeque 1979), since labels may be far from zero
        count, mean = len(labels), labels.mean(0)
        gap, total = mean - self._mean, self.items + count
        self._spread = self._spread + (labels - mean).square().sum(0) + gap.square() * (self.items * count / total)
        self._mean = self._mean + gap * (count / total)
        self.items = total

    def figures(self) -> dict[str, float]:
        if not self.items:
            return dict.fromkeys(("loss", "mae", "rmse", "r2"), math.nan)
        squared = self._squared / self.items
        return {
            "loss": float(squared.sum()) / 2,
            "mae": float((self._absolute / self.items).mean()),
            "rmse": float(squared.mean().sqrt()),
            "r2": float((1 - self._squared / self._spread).mean()),
        }

    def sums(self) -> dict[str, Any]:
        return {
            "absolute": self._absolute.tolist(),
            "squared": self._squared.tolist(),
            "mean": self._mean.tolist(),
            "spread": self._spread.tolist(),
        }

    @classmethod
    def of(cls, sums: dict[str, Any]) -> Self:
        scores = cls(int(sums["items"]))
        for name in ("absolute", "squared", "mean", "spread"):
            setattr(scores, f"_{name}", torch.tensor(sums[name], dtype=torch.float64))
        return scores
