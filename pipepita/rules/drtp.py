"""Direct random target projection (Frenkel et al. 2021): the target itself teaches every layer; there is one pass.

    standard pass    h_l = f_l(W_l h_{l-1}),    delta_l = -(B_l y) f_l'(a_l)        delta_L = h_L - y

A layer knows the target when the sample comes, so it updates itself in the standard pass: nothing is locked, no sample
is ever in flight with old weights, and every schedule ends with the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipepita.rules.defaults import Defaults
from pipepita.rules.rule import Rule
from pipepita.schedule import Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner


@dataclass(frozen=True)
class TargetProjection(Rule):
    """Direct random target projection: the target reaches each layer through a fixed random matrix.

    B_l ~ U(-b, b) with b = sqrt(6 / width of h_l) (He-uniform), drawn from (seed, "feedback", l).
    """

    name: ClassVar[str] = "drtp"
    flow: ClassVar[Flow] = Flow.NONE

    def defaults(self, layers: int) -> Defaults:
        """With tanh, as in its paper: with ReLU it learns at no rate that is as good."""
        return Defaults(activation="tanh")

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with its matrix; the output layer has none."""
        from pipepita.rules.direct import TargetLearner, projection

        return TargetLearner(layer, layer.number == layers, projection(layer, layers, classes, seed))
