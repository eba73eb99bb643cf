"""The results of a run over some items: how many they were, how well they were classified, and how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

_TINY = torch.finfo(torch.float32).tiny
_COUNTED_TOGETHER = 32  # the losses of so many samples are summed at once, so that the next sample rarely waits for it


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
    _loss_sum: float = 0.0
    _correct: int = 0
    _uncounted: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def copy(self) -> Tally:
        """A copy of the tally as it is now."""
        self._count()
        return replace(self, completed=list(self.completed), _uncounted=[])

    def sums(self) -> dict[str, float]:
        """Everything except the times of single samples, as numbers from which `Tally.of` makes a tally again."""
        self._count()
        return {
            "items": self.items, "steps": self.steps, "seconds": self.seconds, "loss_sum": self._loss_sum,
            "correct": self._correct,
        }  # fmt: skip

    @classmethod
    def of(cls, sums: dict[str, float]) -> Tally:
        """Makes a tally from what `sums` returned. Raises `KeyError` if a number is missing."""
        return cls(
            int(sums["items"]), int(sums["steps"]), float(sums["seconds"]), [], float(sums["loss_sum"]),
            int(sums["correct"]),
        )  # fmt: skip

    def add(self, output: Tensor, labels: Tensor) -> None:
        """Adds one sample: its output, (B, classes), and its labels, (B,). It keeps copies."""
        self.steps += 1
        self.items += len(labels)
        self._uncounted.append((output.clone(), labels))
        if len(self._uncounted) == _COUNTED_TOGETHER:
            self._count()

    def _count(self) -> None:
        if not self._uncounted:
            return
        outputs, labels = (torch.cat(parts) for parts in zip(*self._uncounted, strict=True))
        self._uncounted.clear()
        chosen = outputs.gather(1, labels[:, None])
        # in double precision, so that the result does not depend on how many are summed at once
        self._loss_sum -= float(chosen.clamp_min_(_TINY).log_().double().sum())
        self._correct += int((outputs.argmax(1) == labels).sum())

    @property
    def loss(self) -> float:
        """The mean cross-entropy in nats."""
        self._count()
        return self._loss_sum / self.items if self.items else math.nan

    @property
    def accuracy(self) -> float:
        """The share of items that were classified correctly, in percent."""
        self._count()
        return 100 * self._correct / self.items if self.items else math.nan

    @property
    def step_ms(self) -> list[float]:
        """The milliseconds from each sample's error to the next one's."""
        return [1000 * (b - a) for a, b in zip(self.completed, self.completed[1:], strict=False)]
