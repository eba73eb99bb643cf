"""What a run over some items adds up to: how many, how well, how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

_TINY = torch.finfo(torch.float32).tiny
_COUNTED_TOGETHER = 32  # samples whose loss is summed at once, off the path of the next one


@dataclass
class Tally:
    """What a run over some items adds up to. loss: mean cross-entropy in nats; accuracy: percent."""

    items: int = 0
    steps: int = 0
    seconds: float = 0.0
    completed: list[float] = field(default_factory=list)  # when each sample's error was known, seconds
    _loss_sum: float = 0.0
    _correct: int = 0
    _uncounted: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def copy(self) -> Tally:
        """As it is now, to go back to."""
        self._count()
        return replace(self, completed=list(self.completed), _uncounted=[])

    def sums(self) -> dict[str, float]:
        """All but the times of single samples, as plain numbers; `Tally.of` makes a tally of them again."""
        self._count()
        return {
            "items": self.items, "steps": self.steps, "seconds": self.seconds, "loss_sum": self._loss_sum,
            "correct": self._correct,
        }  # fmt: skip

    @classmethod
    def of(cls, sums: dict[str, float]) -> Tally:
        """The tally that `sums` came from; `KeyError`."""
        return cls(
            int(sums["items"]), int(sums["steps"]), float(sums["seconds"]), [], float(sums["loss_sum"]),
            int(sums["correct"]),
        )  # fmt: skip

    def add(self, output: Tensor, labels: Tensor) -> None:
        """Counts one sample: output (B, classes), labels (B,). Takes copies."""
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
        # in double, so that it does not show how many were counted at once
        self._loss_sum -= float(chosen.clamp_min_(_TINY).log_().double().sum())
        self._correct += int((outputs.argmax(1) == labels).sum())

    @property
    def loss(self) -> float:
        self._count()
        return self._loss_sum / self.items if self.items else math.nan

    @property
    def accuracy(self) -> float:
        self._count()
        return 100 * self._correct / self.items if self.items else math.nan

    @property
    def step_ms(self) -> list[float]:
        """Milliseconds from one sample's error to the next one's."""
        return [1000 * (b - a) for a, b in zip(self.completed, self.completed[1:], strict=False)]
