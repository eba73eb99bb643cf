"""Global error-vector broadcasting (Clark, Abbott & Chung 2021): one error vector teaches every unit of every layer.

    h_l = G_l W_l h_{l-1},    G = 1[t . a >= 0] of each unit, which holds one number per class
    broadcast pass   dW_mn = G_m sum_k e_k x_nk        first layer: dW_(k,m)n = G_m e_k x_n

It trains vectorised nonnegative networks, in which this is matched in sign to the gradient: see
`pipepita.network.vectorized`, which makes one of an ordinary network. No layer waits for another, and the error goes
through no matrix. What a layer computes and keeps is as many times as large as there are classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipepita.errors import UserError
from pipepita.rules.defaults import Defaults
from pipepita.rules.rule import Rule
from pipepita.schedule import Flow

if TYPE_CHECKING:
    from torch import nn

    from pipepita.network.layer import Layer
    from pipepita.rules.conditions import Conditions
    from pipepita.rules.learner import Learner


@dataclass(frozen=True)
class ErrorVectors(Rule):
    """Global error-vector broadcasting in a vectorised network (Clark, Abbott & Chung 2021).

    Args:
        nonnegative: Whether the weights behind the first layer are kept from becoming negative, by taking their
            absolute value after each update (the published code). Without it the proof does not hold.

    Raises:
        UserError: `nonnegative` is not true or false.

    Example:
        >>> rule = ErrorVectors()
        >>> rule.name, rule.flow, rule.defaults(layers=3).optimizer
        ('gevb', <Flow.ALL: 'all'>, 'adam')
    """

    nonnegative: bool = True
    name: ClassVar[str] = "gevb"
    flow: ClassVar[Flow] = Flow.ALL

    def defaults(self, layers: int) -> Defaults:
        """Those of the published code."""
        return Defaults(lr=0.0003, optimizer="adam", search=("lr=log:3e-5..0.03",))

    def network(self, model: nn.Sequential, classes: int) -> nn.Sequential:
        """The vectorised counterpart of `model`; itself if it is vectorised. Raises `UserError` if there is none."""
        from pipepita.network.vectorized import vectorized

        return vectorized(model, classes)

    def warning(self, conditions: Conditions) -> str | None:
        """How much more memory it takes."""
        numbers = sum(math.prod(layer.activity_shape) for layer in conditions.layers)
        return (
            f"gevb: each unit holds one number per class, so activities take {conditions.classes} times the memory and "
            f"time of an ordinary network: {numbers} numbers per item"
        )

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer, as `Rule.learner` describes.

        Raises:
            UserError: The network is not vectorised.
        """
        from pipepita.rules.direct import ErrorVectorLearner

        last = layer.number == layers
        if not (layer.vectorized if last else layer.gated):
            raise UserError(
                f"gevb: module {layer.name} is of an ordinary network: take pipepita.network.vectorized.vectorized"
            )
        return ErrorVectorLearner(layer, last, classes, nonnegative=self.nonnegative and layer.number > 1)
