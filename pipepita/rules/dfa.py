"""Direct feedback alignment (Nokland 2016): the error reaches every layer at once, through a fixed random matrix.

    broadcast pass   delta_l = (B_l e) f_l'(a_l)        delta_L = e

No layer waits for another, so all layers update at once. The pass goes through no weights, so samples in flight need no
copies of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipepita.rules.rule import Rule
from pipepita.schedule import Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner


@dataclass(frozen=True)
class DirectFeedbackAlignment(Rule):
    """Direct feedback alignment (Nokland 2016): the error reaches each layer through a fixed random matrix.

    B_l ~ U(-b, b) with b = sqrt(6 / width of h_l) (He-uniform), drawn from (seed, "feedback", l).

    Example:
        >>> rule = DirectFeedbackAlignment()
        >>> rule.name, rule.flow
        ('dfa', <Flow.ALL: 'all'>)
    """

    name: ClassVar[str] = "dfa"
    flow: ClassVar[Flow] = Flow.ALL

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and its matrix B_l, as `Rule.learner` describes. The output layer has no matrix."""
        from pipepita.rules.direct import DirectLearner, projection

        return DirectLearner(layer, layer.number == layers, projection(layer, layers, classes, seed))
