"""Direct feedback alignment (Nokland 2016): the error reaches every layer at once, through a matrix of the layer's own.

    broadcast pass   delta_l = (B_l e) f_l'(a_l)        delta_L = e

No layer waits for another, so all layers update at once. The pass goes through no weights, so samples in flight need no
copies of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipepita.rules import options
from pipepita.rules.rule import Rule
from pipepita.schedule import Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner


@dataclass(frozen=True)
class DirectFeedbackAlignment(Rule):
    """Direct feedback alignment (Nokland 2016): the error reaches each layer through a random matrix.

    B_l ~ U(-b, b) with b = sqrt(6 / width of h_l) (He-uniform), drawn from (seed, "feedback", l).

    Args:
        feedback: Whether B_l is "fixed" (Nokland), or "learned" as `pipepita.rules.kolen_pollack` describes.
        feedback_rate: If it learns: its learning rate, as a multiple of the layer's.

    Raises:
        UserError: `feedback` is neither, or the rate is negative or not finite.

    Example:
        >>> rule = DirectFeedbackAlignment()
        >>> rule.name, rule.flow
        ('dfa', <Flow.ALL: 'all'>)
    """

    feedback: Literal["fixed", "learned"] = "fixed"
    feedback_rate: float = 1.0
    name: ClassVar[str] = "dfa"
    flow: ClassVar[Flow] = Flow.ALL

    def __post_init__(self) -> None:
        super().__post_init__()
        options.check_rate(self, "feedback_rate")

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and its matrix B_l, as `Rule.learner` describes. The output layer has no matrix."""
        from pipepita.rules.direct import DirectLearner, LearningDirectLearner, projection

        drawn = projection(layer, layers, classes, seed)
        if drawn is None or self.feedback == "fixed":
            return DirectLearner(layer, layer.number == layers, drawn)
        return LearningDirectLearner(layer, drawn, self.feedback_rate)
