"""Local errors (Nokland & Eidnes 2019): every layer learns from a loss of its own activity, in a single pass.

    standard pass    delta_l = (gradient at h_l of the layer's own loss) f_l'(a_l)        delta_L = h_L - y

    pred       cross-entropy of R_l h_l, a linear read-out of the (average-pooled) activity
    sim        mean squared difference between the similarity matrix of C_l h_l and that of the targets
    predsim    (1 - beta) pred + beta sim

R_l and C_l are maps of the layer's own, which learn from the same loss: see `pipepita.rules.losses`. The label travels
with the sample and the gradient stays within the layer. So no layer is ever locked, no sample in flight meets two
versions of the weights, and every schedule ends with the same weights.

Published code: github.com/anokland/local-loss. Like there, the read-out is at first zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipepita.errors import UserError
from pipepita.rules import options
from pipepita.rules.rule import Rule
from pipepita.schedule import Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner


@dataclass(frozen=True)
class LocalLoss(Rule):
    """A loss for each layer, of the layer's own activity (Nokland & Eidnes 2019).

    Args:
        loss: What the loss is: "pred", "sim" or "predsim".
        beta: With "predsim": the share of sim, from 0 to 1.
        head_rate: The learning rate of the layer's own maps, as a multiple of the layer's.

    Raises:
        UserError: `loss` is none of these, `beta` is not from 0 to 1, or the rate is negative or not finite.

    Example:
        >>> rule = LocalLoss(loss="predsim")
        >>> rule.name, rule.passes, rule.reads("standard", number=1, layers=3).signal
        ('local', ('standard',), True)
    """

    loss: Literal["pred", "sim", "predsim"] = "pred"
    beta: float = 0.99
    head_rate: float = 1.0
    name: ClassVar[str] = "local"
    flow: ClassVar[Flow] = Flow.NONE

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta <= 1:
            raise UserError(f"beta {self.beta} is not a share from 0 to 1")
        options.check_rate(self, "head_rate")

    def unfit_for_numbers(self, count: int) -> str | None:
        """Sim compares the targets of items by their direction, and single numbers have none."""
        if self.loss == "pred" or count > 1:
            return None
        return f"loss={self.loss} compares items by the direction of their targets, and one number has none: loss=pred"

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and its losses, as `Rule.learner` describes. The output layer learns from its own error."""
        from pipepita.rules.direct import TargetLearner
        from pipepita.rules.losses import LocalLearner, Prediction, Similarity

        if layer.number == layers:
            return TargetLearner(layer, last=True)
        shares = {"pred": (1.0, 0.0), "sim": (0.0, 1.0), "predsim": (1 - self.beta, self.beta)}
        of_prediction, of_similarity = shares[self.loss]
        losses: list[Prediction | Similarity] = []
        if of_prediction:
            losses.append(Prediction(layer, classes, of_prediction, self.head_rate))
        if of_similarity:
            losses.append(Similarity(layer, of_similarity, self.head_rate, seed))
        return LocalLearner(layer, losses)
