"""Rules with a backward pass. They differ in the weights V_l that the pass goes through.

    backward pass    delta_L = e,    delta_l = (V_{l+1}^T delta_{l+1}) f_l'(a_l)

| rule | V_l                                                                      | source                          |
|------|--------------------------------------------------------------------------|---------------------------------|
| bp   | W_l                                                                      | Rumelhart et al. 1986           |
| fa   | fixed and random, drawn like W_l (no form, since W_l takes no part)      | Lillicrap et al. 2016           |
| usf  | sign(W_l), all of one magnitude                                          | Liao et al. 2016                |
| brsf | sign(W_l) with random magnitudes, drawn anew for every sample            | Liao et al. 2016                |
| frsf | sign(W_l) with random magnitudes, drawn once                             | Liao et al. 2016                |

The magnitudes of brsf and frsf have the distribution of |W_l| before training (He-uniform). The one of usf is the root
mean square of that distribution. `same_norm=True` scales V_l to the norm of W_l. `keep_signs=True` lets no update
change a sign of W_l: a weight whose sign would change becomes 0. Moskovitz et al. 2018 do both.

With samples in flight, W_l has been updated since the sample's standard pass. `form="stash"` goes through the weights
of that standard pass: a copy of them is kept when an update replaces them (as in PipeDream). `form="textbook"` goes
through today's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipepita.rules.rule import Rule
from pipepita.schedule import Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner


@dataclass(frozen=True)
class Backprop(Rule):
    """Backpropagation (Rumelhart et al. 1986): a backward pass through the weights.

    Args:
        form: Which weights a backward pass goes through while other samples are in flight: "stash" (those of the
            sample's own standard pass) or "textbook" (today's). Without samples in flight the two are the same.

    Raises:
        UserError: `form` is neither.

    Example:
        >>> rule = Backprop()
        >>> rule.name, rule.form, rule.passes
        ('bp', 'stash', ('standard', 'backward'))
    """

    form: Literal["stash", "textbook"] = "stash"
    name: ClassVar[str] = "bp"
    flow: ClassVar[Flow] = Flow.DOWN

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and what its backward pass goes through, as `Rule.learner` describes."""
        from pipepita.rules import feedback

        return feedback.BackwardLearner(layer, layers, feedback.weights(), stash=self.form == "stash")


@dataclass(frozen=True)
class FeedbackAlignment(Rule):
    """Feedback alignment (Lillicrap et al. 2016): a backward pass through fixed random matrices.

    They are drawn from (seed, "feedback", l) and have the shapes and the distribution of He-uniform weights.

    Example:
        >>> rule = FeedbackAlignment()
        >>> rule.name, rule.flow
        ('fa', <Flow.DOWN: 'down'>)
    """

    name: ClassVar[str] = "fa"
    flow: ClassVar[Flow] = Flow.DOWN

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and its random matrix, as `Rule.learner` describes."""
        from pipepita.rules import feedback

        return feedback.BackwardLearner(layer, layers, feedback.fixed(layer, seed), stash=False)


@dataclass(frozen=True)
class UniformSigns(Rule):
    """A backward pass through the signs of the weights, all with one magnitude (Liao et al. 2016).

    Args:
        form: As in `Backprop`.
        same_norm: Whether V_l is scaled to the norm of W_l, for each layer and sample (Moskovitz et al. 2018).
        keep_signs: Whether a weight whose sign an update would change becomes 0 (Moskovitz et al. 2018).

    Raises:
        UserError: A value is none of these.

    Example:
        >>> rule = UniformSigns(keep_signs=True)
        >>> rule.name, rule.passes
        ('usf', ('standard', 'backward'))
    """

    form: Literal["stash", "textbook"] = "stash"
    same_norm: bool = False
    keep_signs: bool = False
    name: ClassVar[str] = "usf"
    flow: ClassVar[Flow] = Flow.DOWN
    _magnitudes: ClassVar[str] = "uniform"

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and what its backward pass goes through, as `Rule.learner` describes."""
        from pipepita.rules import feedback

        through = feedback.SIGNS[self._magnitudes](layer, seed)
        if self.same_norm:
            through = feedback.normalised(through)
        return feedback.BackwardLearner(layer, layers, through, stash=self.form == "stash", keep_signs=self.keep_signs)


@dataclass(frozen=True)
class RandomSigns(UniformSigns):
    """A backward pass through the signs of the weights, with magnitudes drawn for each sample (Liao et al. 2016).

    The magnitudes are drawn from (seed, "magnitudes", l, step).

    Args:
        form: As in `Backprop`.
        same_norm: As in `UniformSigns`.
        keep_signs: As in `UniformSigns`.

    Raises:
        UserError: A value is none of these.

    Example:
        >>> RandomSigns().name
        'brsf'
    """

    name: ClassVar[str] = "brsf"
    _magnitudes: ClassVar[str] = "redrawn"


@dataclass(frozen=True)
class FixedSigns(UniformSigns):
    """A backward pass through the signs of the weights, with magnitudes that are drawn once (Liao et al. 2016).

    The magnitudes are drawn from (seed, "magnitudes", l).

    Args:
        form: As in `Backprop`.
        same_norm: As in `UniformSigns`.
        keep_signs: As in `UniformSigns`.

    Raises:
        UserError: A value is none of these.

    Example:
        >>> FixedSigns().name
        'frsf'
    """

    name: ClassVar[str] = "frsf"
    _magnitudes: ClassVar[str] = "fixed"
