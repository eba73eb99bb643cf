"""What a learning rule must say, so that stages, wiring and schedules can serve any of them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from pipepita.layers.layer import Layer


class Reads(NamedTuple):
    """What a layer needs for a pass: the layer below's message, the coordinator's error, or both."""

    upstream: bool = False
    error: bool = False


class Product(NamedTuple):
    """What an update is made of: sign * post pre^T, both (B, ...)."""

    post: Tensor
    pre: Tensor
    sign: float


class Learner(Protocol):
    """One layer under one rule, with what it keeps of the samples in flight."""

    layer: Layer

    def standard(self, step: int, x: Tensor) -> Tensor:
        """Sample `step`'s first pass: (B, *in_shape) -> (B, *out_shape). The output layer returns its softmax."""

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        """Sample `step`'s second pass, from what the rule's `reads` asked for; None where nothing is sent on.

        error: (B, classes), output minus one-hot target.
        """

    def product(self, step: int) -> Product:
        """What to update with, once `second` has run; forgets the sample."""

    def evaluate(self, x: Tensor) -> Tensor:
        """The forward pass without dropout; the output layer returns its softmax."""

    def fixed(self) -> dict[str, Tensor]:
        """Tensors that the rule drew for this layer and never changes (its feedback matrix)."""


class Rule(Protocol):
    """A learning rule: plain data, so that it can be printed, sent and compared."""

    @property
    def name(self) -> str:
        """As on the command line."""

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes that a sample makes, first to last."""

    @property
    def rows(self) -> int:
        """How many rows of a message between two layers an item takes at most: 1 for one activity, 2 for two."""

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """What layer `number` (from 1) of `layers` needs for pass `name`."""

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """`layer` under this rule; what it draws comes from (seed, purpose, layer)."""
