"""Rules with a backward pass, and the learner that they share; they differ in the weights that the pass goes through.

    backward pass    delta_L = e,    delta_l = (V_{l+1}^T delta_{l+1}) f_l'(a_l)

| rule | V_l                                                                      | source                          |
|------|--------------------------------------------------------------------------|---------------------------------|
| bp   | W_l                                                                      | Rumelhart et al. 1986           |
| fa   | fixed and random, drawn like W_l; no form, since no weight takes part    | Lillicrap et al. 2016           |
| usf  | sign(W_l), all of one magnitude                                          | Liao et al. 2016                |
| brsf | sign(W_l) with random magnitudes, drawn anew for every sample            | Liao et al. 2016                |
| frsf | sign(W_l) with random magnitudes, drawn once                             | Liao et al. 2016                |

Magnitudes of the last three have the distribution that |W_l| begins with (He-uniform), or, for usf, its root mean
square. `strict=True` (Moskovitz et al. 2018) scales V_l to W_l's norm, and lets no update change a sign of W_l.

With samples in flight W_l is meanwhile a newer one than the sample's standard pass saw. `form="stash"` goes through the
weights of that time, kept where an update replaces them (PipeDream); `form="textbook"` through today's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipepita.errors import unknown
from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform
from pipepita.rules.gradient import GradientLearner
from pipepita.rules.rule import Learner, Product, Reads
from pipepita.schedule import BACKWARD, STANDARD, Flow

FORMS = ("stash", "textbook")

# (weights, sample) -> what the backward pass goes through instead
Feedback = Callable[[Tensor, int], Tensor]


class BackwardLearner(GradientLearner):
    """One layer of a backward pass; its message to the layer below is V_l^T delta_l, (B, *in_shape)."""

    def __init__(
        self, layer: Layer, layers: int, feedback: Feedback, *, stash: bool, drawn: Tensor | None, keep_signs: bool
    ) -> None:
        super().__init__(layer, layer.number == layers, drawn)
        self._through, self._stash = feedback, stash
        self._stashed: dict[int, Tensor] = {}
        weight = layer.parameters[0]
        self._signs = weight.sign() if keep_signs else None

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        signal = error if self.last else arriving
        assert signal is not None
        delta, flight = self.learn(step, signal)
        weight = self._stashed.pop(step, self.layer.parameters[0])
        if self.layer.number == 1:
            return None
        return self.layer.synapse.back(delta, self._through(weight, step), flight.inputs.shape)

    def product(self, step: int) -> Product:
        # the update comes now: samples in flight have seen the weights that it replaces
        if self._stash and self.layer.number > 1:
            unkept = self._flights.keys() - self._stashed.keys()
            if unkept:
                self._stashed |= dict.fromkeys(unkept, self.layer.parameters[0].clone())
        return super().product(step)

    def updated(self) -> None:
        if self._signs is not None:
            weight = self.layer.parameters[0]
            weight.mul_(weight.sign() == self._signs)

    def memory(self) -> dict[str, Tensor]:
        return {} if self._signs is None else {f"{self.layer.name}.signs": self._signs}

    def remember(self, memory: dict[str, Tensor]) -> None:
        if self._signs is not None:
            self._signs.copy_(memory[f"{self.layer.name}.signs"])


class BackwardRule:
    """What the rules here share; each says what its backward pass goes through."""

    name: ClassVar[str]
    passes: ClassVar[tuple[str, ...]] = (STANDARD, BACKWARD)
    updates: ClassVar[tuple[str, ...]] = (BACKWARD,)
    flow: ClassVar[Flow] = Flow.DOWN
    rows: ClassVar[int] = 1
    aligns: ClassVar[bool] = False

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """Up the layers, then down from the error."""
        if name == STANDARD:
            return Reads(upstream=True)
        return Reads(downstream=number < layers, signal=number == layers)

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with the weights of its backward pass."""
        drawn, feedback = self._feedback(layer, seed)
        strict = getattr(self, "strict", False)
        if strict:
            feedback = _normalised(feedback)
        stash = getattr(self, "form", None) == "stash"
        return BackwardLearner(layer, layers, feedback, stash=stash, drawn=drawn, keep_signs=strict)

    def _feedback(self, layer: Layer, seed: int) -> tuple[Tensor | None, Feedback]:
        """(what is drawn and never changes, how V_l comes from W_l)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Backprop(BackwardRule):
    """Backpropagation. form: "stash" or "textbook", as above; `UserError` for another."""

    form: str = "stash"
    name: ClassVar[str] = "bp"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown("form", self.form, FORMS)

    def _feedback(self, layer: Layer, seed: int) -> tuple[Tensor | None, Feedback]:
        return None, lambda weight, step: weight


@dataclass(frozen=True)
class FeedbackAlignment(BackwardRule):
    """A backward pass through fixed random matrices, drawn from (seed, "feedback", layer) like He-uniform weights."""

    name: ClassVar[str] = "fa"

    def _feedback(self, layer: Layer, seed: int) -> tuple[Tensor | None, Feedback]:
        drawn = _drawn(layer, generator(seed, "feedback", layer.number))
        return drawn, lambda weight, step: drawn


@dataclass(frozen=True)
class UniformSigns(Backprop):
    """A backward pass through the signs of the weights, all with one magnitude. strict: as above."""

    strict: bool = False
    name: ClassVar[str] = "usf"

    def _feedback(self, layer: Layer, seed: int) -> tuple[Tensor | None, Feedback]:
        return None, lambda weight, step: weight.sign().mul_(_bound(weight) / 3**0.5)


@dataclass(frozen=True)
class RandomSigns(UniformSigns):
    """A backward pass through the signs of the weights, with magnitudes drawn anew for every sample."""

    name: ClassVar[str] = "brsf"

    def _feedback(self, layer: Layer, seed: int) -> tuple[Tensor | None, Feedback]:
        def feedback(weight: Tensor, step: int) -> Tensor:
            return _drawn(layer, generator(seed, "magnitudes", layer.number, step)).abs_().mul_(weight.sign())

        return None, feedback


@dataclass(frozen=True)
class FixedSigns(UniformSigns):
    """A backward pass through the signs of the weights, with magnitudes drawn once."""

    name: ClassVar[str] = "frsf"

    def _feedback(self, layer: Layer, seed: int) -> tuple[Tensor | None, Feedback]:
        drawn = _drawn(layer, generator(seed, "magnitudes", layer.number)).abs_()
        return drawn, lambda weight, step: weight.sign().mul_(drawn)


def _bound(weight: Tensor) -> float:
    """Of He-uniform weights in `weight`'s place."""
    return (6 / weight[0].numel()) ** 0.5


def _drawn(layer: Layer, source: torch.Generator) -> Tensor:
    """Like He-uniform weights, on the layer's device and lying in memory as its weights do."""
    weight = layer.parameters[0]
    return torch.empty_like(weight).copy_(uniform(tuple(weight.shape), _bound(weight), source))


def _normalised(feedback: Feedback) -> Feedback:
    """`feedback` with W's norm."""

    def scaled(weight: Tensor, step: int) -> Tensor:
        through = feedback(weight, step)
        return through.mul_(weight.norm() / through.norm().clamp_min(torch.finfo(weight.dtype).tiny))

    return scaled
