"""Synthetic gradients (Jaderberg et al. 2017; Czarnecki et al. 2017): every layer learns from a guess of its gradient.

    standard pass   g_l = M_l(h_l, y),  delta_l = g_l f_l'(a_l),  dW_l = delta_l h_{l-1}^T     delta_L = h_L - y
    backward pass   layer l+1 sends W_{l+1}^T delta_{l+1} to layer l, and M_l learns to guess it:
                    dM_l is the gradient of |g_l - W_{l+1}^T delta_{l+1}|^2 / 2

M_l is linear in the activity and the target (for images: a 3 x 3 convolution of both), and at first zero. It belongs to
the layer. So a layer updates itself in the standard pass and waits for nobody. What the layer above sends back goes
down by one layer only: it was computed in that layer's own standard pass. If it is late, only the guess learns late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipepita.rules import options
from pipepita.rules.defaults import Defaults
from pipepita.rules.rule import Reads, Rule
from pipepita.schedule import Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner


@dataclass(frozen=True)
class SyntheticGradients(Rule):
    """A guess of each layer's gradient, which updates the layer at once (Jaderberg et al. 2017).

    Args:
        guess_rate: The learning rate of the guess M_l, as a multiple of the layer's.

    Raises:
        UserError: The rate is negative or not finite.

    Example:
        >>> rule = SyntheticGradients()
        >>> rule.name, rule.passes, rule.updates
        ('dni', ('standard', 'backward'), ('standard', 'backward'))
        >>> rule.reads("standard", number=1, layers=3)
        Reads(upstream=True, downstream=False, signal=True)
    """

    guess_rate: float = 1.0
    name: ClassVar[str] = "dni"
    flow: ClassVar[Flow] = Flow.DOWN

    def __post_init__(self) -> None:
        super().__post_init__()
        options.check_rate(self, "guess_rate")

    @property
    def updates(self) -> tuple[str, ...]:
        """The layer's weights change after the standard pass, those of its guess after the backward pass."""
        return self.passes

    def defaults(self, layers: int) -> Defaults:
        """With Adam, as in the paper: with SGD a guess that learns from late answers overshoots."""
        return Defaults(lr=0.001, optimizer="adam", search=("lr=log:3e-5..0.03",))

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """In the standard pass each layer also gets the target. So the output layer needs no error later."""
        if name == self.passes[0]:
            return Reads(upstream=True, signal=True)
        return Reads(downstream=number < layers)

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and its guess, as `Rule.learner` describes. The output layer needs none."""
        from pipepita.rules.guess import Guess, GuessingLearner

        last = layer.number == layers
        return GuessingLearner(layer, last, None if last else Guess(layer, classes, self.guess_rate))
