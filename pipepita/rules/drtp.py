"""Direct random target projection (Frenkel et al. 2021): the target itself teaches every layer; there is one pass.

    standard pass    h_l = f_l(W_l h_{l-1}),    delta_l = -(B_l y) f_l'(a_l)        delta_L = h_L - y

A layer knows the target when the sample comes, so it updates itself in the standard pass: nothing is locked, no sample
is ever in flight with old weights, and every schedule ends with the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.rules.dfa import projection
from pipepita.rules.gradient import GradientLearner
from pipepita.rules.rule import Learner, Reads
from pipepita.schedule import STANDARD, Flow


class TargetLearner(GradientLearner):
    """One layer that gets the target through a matrix of its own."""

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        assert target is not None
        sent = super().standard(step, x)
        self.learn(step, sent - target if self.feedback is None else -(target @ self.feedback))
        return sent

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        raise NotImplementedError("there is no second pass")


@dataclass(frozen=True)
class TargetProjection:
    """B_l ~ U(-b, b), b = sqrt(6 / width of h_l) (He-uniform), drawn from (seed, "feedback", l)."""

    name: ClassVar[str] = "drtp"
    passes: ClassVar[tuple[str, ...]] = (STANDARD,)
    updates: ClassVar[tuple[str, ...]] = (STANDARD,)
    flow: ClassVar[Flow] = Flow.NONE
    rows: ClassVar[int] = 1
    aligns: ClassVar[bool] = False

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """Up the layers, and the target to each."""
        return Reads(upstream=True, signal=True)

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with its matrix; the output layer has none."""
        last = layer.number == layers
        return TargetLearner(layer, last, None if last else projection(layer, classes, seed))
