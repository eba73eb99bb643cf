"""The weights that a backward pass goes through, and the learner of one layer: see the table in `backward`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform
from pipepita.rules.gradient import GradientLearner
from pipepita.rules.learner import Product

# (weights, step) -> what the backward pass goes through instead of the weights
Through = Callable[[Tensor, int], Tensor]


class Feedback(NamedTuple):
    """How V_l is made from W_l.

    Attributes:
        through: The function that makes it.
        drawn: The random tensor that it uses, if it uses one that never changes.
    """

    through: Through
    drawn: Tensor | None = None


class BackwardLearner(GradientLearner):
    """One layer of a backward pass. Its message to the layer below is V_l^T delta_l, (B, *in_shape).

    Args:
        layer: The layer.
        layers: How many layers the network has.
        feedback: How V_l is made.
        stash: Whether V_l is made from the weights of the sample's own standard pass, instead of today's.
        keep_signs: Whether a weight whose sign an update changes becomes 0.
    """

    def __init__(self, layer: Layer, layers: int, feedback: Feedback, *, stash: bool, keep_signs: bool = False) -> None:
        super().__init__(layer, layer.number == layers, feedback.drawn)
        self._through, self._stash = feedback.through, stash
        self._stashed: dict[int, Tensor] = {}
        weight = layer.parameters[0]
        self._signs = weight.sign() if keep_signs else None

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        if self._stash and self.layer.looks_ahead and self.layer.number > 1:
            self._stashed[step] = self.layer.parameters[0].clone()
        return super().standard(step, x, target)

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        signal = error if self.last else arriving
        assert signal is not None
        delta, kept = self.learn(step, signal)
        weight = self._stashed.pop(step, self.layer.parameters[0])
        if self.layer.number == 1:
            return None
        return self.layer.synapse.back(delta, self._through(weight, step), kept.inputs.shape)

    def product(self, step: int) -> Product | None:
        # the update comes next: keep the weights that it replaces for the samples whose standard pass met them
        if self._stash and self.layer.number > 1:
            without_copy = self._forward_passes.keys() - self._stashed.keys()
            if without_copy:
                self._stashed |= dict.fromkeys(without_copy, self.layer.parameters[0].clone())
        return super().product(step)

    def updated(self) -> None:
        if self._signs is not None:
            signs = self.layer.parameters[0].sign()
            self._signs.copy_(torch.where(self._signs == 0, signs, self._signs))  # one that was zero had no sign yet
            self.layer.parameters[0].mul_(signs == self._signs)

    def memory(self) -> dict[str, Tensor]:
        return {} if self._signs is None else {f"{self.layer.name}.signs": self._signs}

    def remember(self, memory: dict[str, Tensor]) -> None:
        if self._signs is not None:
            self._signs.copy_(memory[f"{self.layer.name}.signs"])


def weights() -> Feedback:
    """The weights themselves."""
    return Feedback(lambda weight, step: weight)


def fixed(layer: Layer, seed: int) -> Feedback:
    """A random matrix that is drawn once and does not depend on the weights."""
    drawn = _drawn(layer, generator(seed, "feedback", layer.number))
    return Feedback(lambda weight, step: drawn, drawn)


def uniform_signs(layer: Layer, seed: int) -> Feedback:
    """The signs of the weights, all of one magnitude."""
    return Feedback(lambda weight, step: weight.sign().mul_(_bound(weight) / 3**0.5))


def redrawn_signs(layer: Layer, seed: int) -> Feedback:
    """The signs of the weights, with magnitudes that are drawn for each sample."""

    def through(weight: Tensor, step: int) -> Tensor:
        return _drawn(layer, generator(seed, "magnitudes", layer.number, step)).abs_().mul_(weight.sign())

    return Feedback(through)


def fixed_signs(layer: Layer, seed: int) -> Feedback:
    """The signs of the weights, with magnitudes that are drawn once."""
    drawn = _drawn(layer, generator(seed, "magnitudes", layer.number)).abs_()
    return Feedback(lambda weight, step: weight.sign().mul_(drawn), drawn)


SIGNS: dict[str, Callable[[Layer, int], Feedback]] = {
    "uniform": uniform_signs,
    "redrawn": redrawn_signs,
    "fixed": fixed_signs,
}


def normalised(feedback: Feedback) -> Feedback:
    """`feedback`, scaled to the norm of the weights."""

    def scaled(weight: Tensor, step: int) -> Tensor:
        through = feedback.through(weight, step)
        return through.mul_(weight.norm() / through.norm().clamp_min(torch.finfo(weight.dtype).tiny))

    return feedback._replace(through=scaled)


def _bound(weight: Tensor) -> float:
    """The bound b of He-uniform weights U(-b, b) of this shape."""
    return (6 / weight[0].numel()) ** 0.5


def _drawn(layer: Layer, source: torch.Generator) -> Tensor:
    """He-uniform numbers with the shape, the device and the memory layout of the layer's weights."""
    weight = layer.parameters[0]
    return torch.empty_like(weight).copy_(uniform(tuple(weight.shape), _bound(weight), source))
