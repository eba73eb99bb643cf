"""What a learning rule must say, so that stages, wiring and schedules can serve any of them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.schedule import Flow
from pipepita.schedule.topology import Reads

__all__ = ["Learner", "Product", "Reads", "Rule"]


class Product(NamedTuple):
    """What an update is made of: scale * post pre^T, both (B, ...)."""

    post: Tensor
    pre: Tensor
    scale: float


class Learner(Protocol):
    """One layer under one rule, with what it keeps of the samples in flight."""

    layer: Layer

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Sample `step`'s first pass: (B, *in_shape) -> (B, *out_shape). The output layer returns its softmax.

        target: (B, classes), one-hot, where the rule's `reads` asked for the signal.
        """

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        """Sample `step`'s second pass, from what the rule's `reads` asked for; None where nothing is sent on.

        error: (B, classes), output minus one-hot target.
        """

    def product(self, step: int) -> Product | None:
        """What to update with, once a pass that the rule `updates` after has run; None: this layer not, this time."""

    def updated(self) -> None:
        """The optimizer has changed the weights."""

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """Before `epoch`, if the rule `aligns`: brings the layer's feedback in line with the weights.

        above: what the layer above returned. Returns what the layer below needs for its own.
        """

    def evaluate(self, x: Tensor) -> Tensor:
        """The forward pass without dropout; the output layer returns its softmax."""

    def fixed(self) -> dict[str, Tensor]:
        """Tensors that the rule drew for this layer (its feedback matrix), under its name."""

    def memory(self) -> dict[str, Tensor]:
        """What a drained layer would miss if it were built anew and given only its weights, under its name."""

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Takes back what `memory` gave."""


class Rule(Protocol):
    """A learning rule: plain data, so that it can be printed, sent and compared."""

    @property
    def name(self) -> str:
        """As on the command line."""

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes that a sample makes, one or two: the standard pass, and what follows it."""

    @property
    def flow(self) -> Flow:
        """How the second pass travels."""

    @property
    def updates(self) -> tuple[str, ...]:
        """After which passes a layer updates itself; the last one among them."""

    @property
    def rows(self) -> int:
        """How many rows of a message between two layers an item takes at most: 1 for one activity, 2 for two."""

    @property
    def aligns(self) -> bool:
        """Whether its learners `align` before each epoch."""

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """What layer `number` (from 1) of `layers` needs for pass `name`."""

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """`layer` under this rule; what it draws comes from (seed, purpose, layer)."""
