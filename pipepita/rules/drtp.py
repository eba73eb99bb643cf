"""Direct random target projection (Frenkel et al. 2021): every layer learns from the target, in a single pass.

    standard pass    h_l = f_l(W_l h_{l-1}),    delta_l = -(B_l y) f_l'(a_l)        delta_L = h_L - y

The target arrives together with the sample, so a layer updates itself in the standard pass. No layer is ever locked, no
sample in flight meets two versions of the weights, and every schedule ends with the same weights.
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
    """Direct random target projection (Frenkel et al. 2021): the target reaches each layer through a random matrix.

    B_l ~ U(-b, b) with b = sqrt(6 / width of h_l) (He-uniform), drawn from (seed, "feedback", l) and fixed.

    Example:
        >>> rule = TargetProjection()
        >>> rule.name, rule.passes, rule.defaults(layers=2).activation
        ('drtp', ('standard',), 'tanh')
    """

    name: ClassVar[str] = "drtp"
    flow: ClassVar[Flow] = Flow.NONE

    def defaults(self, layers: int) -> Defaults:
        """With tanh, as in its paper: with ReLU no learning rate is as good."""
        return Defaults(activation="tanh")

    def unfit_for_numbers(self, count: int) -> str | None:
        """It teaches with the target alone, which says of a class in which direction to go, but not of a number."""
        return "the one-hot target stands for the sign of the error, and a number does not: take dfa"

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and its matrix B_l, as `Rule.learner` describes. The output layer has no matrix."""
        from pipepita.rules.direct import TargetLearner, projection

        return TargetLearner(layer, layer.number == layers, projection(layer, layers, classes, seed))
