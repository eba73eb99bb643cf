"""Direct feedback alignment (Nokland 2016): the error comes to every layer at once, through a fixed random matrix.

    broadcast pass   delta_l = (B_l e) f_l'(a_l)        delta_L = e

No layer waits for another, and no weight takes part, so all layers update at once, and samples in flight need no
copies of weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform
from pipepita.rules.gradient import GradientLearner
from pipepita.rules.rule import Learner, Reads
from pipepita.schedule import BROADCAST, STANDARD, Flow


class DirectLearner(GradientLearner):
    """One layer that gets the error through a matrix of its own."""

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        assert error is not None
        self.learn(step, error if self.feedback is None else error @ self.feedback)
        return None


@dataclass(frozen=True)
class DirectFeedbackAlignment:
    """B_l ~ U(-b, b), b = sqrt(6 / width of h_l) (He-uniform), drawn from (seed, "feedback", l)."""

    name: ClassVar[str] = "dfa"
    passes: ClassVar[tuple[str, ...]] = (STANDARD, BROADCAST)
    updates: ClassVar[tuple[str, ...]] = (BROADCAST,)
    flow: ClassVar[Flow] = Flow.ALL
    rows: ClassVar[int] = 1
    aligns: ClassVar[bool] = False

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """Up the layers, then the error to each."""
        return Reads(upstream=True) if name == STANDARD else Reads(signal=True)

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with its matrix; the output layer has none."""
        last = layer.number == layers
        return DirectLearner(layer, last, None if last else projection(layer, classes, seed))


def projection(layer: Layer, classes: int, seed: int) -> Tensor:
    """B_l^T, (classes, width of h_l): what turns an error or a target into a signal at h_l."""
    width = math.prod(layer.out_shape)
    return uniform((classes, width), (6 / width) ** 0.5, generator(seed, "feedback", layer.number))
