"""Rules with a backward pass; they differ in the weights that the pass goes through.

    backward pass    delta_L = e,    delta_l = (V_{l+1}^T delta_{l+1}) f_l'(a_l)

| rule | V_l                                                                      | source                          |
|------|--------------------------------------------------------------------------|---------------------------------|
| bp   | W_l                                                                      | Rumelhart et al. 1986           |
| fa   | fixed and random, drawn like W_l; no form, since no weight takes part    | Lillicrap et al. 2016           |
| usf  | sign(W_l), all of one magnitude                                          | Liao et al. 2016                |
| brsf | sign(W_l) with random magnitudes, drawn anew for every sample            | Liao et al. 2016                |
| frsf | sign(W_l) with random magnitudes, drawn once                             | Liao et al. 2016                |

Magnitudes of the last three have the distribution that |W_l| begins with (He-uniform), or, for usf, its root mean
square. `same_norm=True` scales V_l to W_l's norm, and `keep_signs=True` lets no update change a sign of W_l: a weight
that would change it becomes 0. Moskovitz et al. 2018 do both.

With samples in flight W_l is meanwhile a newer one than the sample's standard pass saw. `form="stash"` goes through the
weights of that time, kept where an update replaces them (PipeDream); `form="textbook"` through today's.
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
    """Backpropagation: a backward pass through the weights.

    Args:
        form: The weights that a backward pass goes through while other samples are in flight: "stash" (those of the
            sample's own standard pass) or "textbook" (today's).
    """

    form: Literal["stash", "textbook"] = "stash"
    name: ClassVar[str] = "bp"
    flow: ClassVar[Flow] = Flow.DOWN

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with the weights of its backward pass."""
        from pipepita.rules import feedback

        return feedback.BackwardLearner(layer, layers, feedback.weights(), stash=self.form == "stash")


@dataclass(frozen=True)
class FeedbackAlignment(Rule):
    """Feedback alignment: a backward pass through fixed random matrices.

    They are drawn from (seed, "feedback", layer) like He-uniform weights.
    """

    name: ClassVar[str] = "fa"
    flow: ClassVar[Flow] = Flow.DOWN

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with its matrix."""
        from pipepita.rules import feedback

        return feedback.BackwardLearner(layer, layers, feedback.fixed(layer, seed), stash=False)


@dataclass(frozen=True)
class UniformSigns(Rule):
    """A backward pass through the signs of the weights, all with one magnitude.

    Args:
        form: As in `Backprop`.
        same_norm: Scale V_l to the norm of W_l, layer by layer and sample by sample.
        keep_signs: Let no update change a sign of W_l.
    """

    form: Literal["stash", "textbook"] = "stash"
    same_norm: bool = False
    keep_signs: bool = False
    name: ClassVar[str] = "usf"
    flow: ClassVar[Flow] = Flow.DOWN
    _magnitudes: ClassVar[str] = "uniform"

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with the weights of its backward pass."""
        from pipepita.rules import feedback

        through = feedback.SIGNS[self._magnitudes](layer, seed)
        if self.same_norm:
            through = feedback.normalised(through)
        return feedback.BackwardLearner(layer, layers, through, stash=self.form == "stash", keep_signs=self.keep_signs)


@dataclass(frozen=True)
class RandomSigns(UniformSigns):
    """A backward pass through the signs of the weights, with magnitudes drawn anew for every sample."""

    name: ClassVar[str] = "brsf"
    _magnitudes: ClassVar[str] = "redrawn"


@dataclass(frozen=True)
class FixedSigns(UniformSigns):
    """A backward pass through the signs of the weights, with magnitudes drawn once."""

    name: ClassVar[str] = "frsf"
    _magnitudes: ClassVar[str] = "fixed"
