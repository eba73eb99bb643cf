"""Learners that get the error (dfa) or the target (drtp) through a random matrix of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform
from pipepita.rules.gradient import GradientLearner
from pipepita.rules.kolen_pollack import LearnedMatrix
from pipepita.rules.learner import Product


class DirectLearner(GradientLearner):
    """One layer of direct feedback alignment: it gets the error through its own matrix."""

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        assert error is not None
        self.learn(step, error if self.feedback is None else error @ self.feedback)
        return None


class LearningDirectLearner(GradientLearner):
    """One hidden layer of direct feedback alignment whose matrix learns."""

    def __init__(self, layer: Layer, drawn: Tensor, rate: float) -> None:
        super().__init__(layer, last=False)
        self._learnt = LearnedMatrix(layer, drawn.to(layer.parameters[0].device), rate, keeps_norm=False)
        self.heads = [self._learnt.head]
        self._matrix_products: dict[int, Product] = {}

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        assert error is not None
        _, kept = self.learn(step, error @ self._learnt.matrix())
        self._matrix_products[step] = self._learnt.product(error, kept.sent.detach(), 1.0)
        return None

    def head_products(self, step: int) -> Sequence[Product | None]:
        return [self._matrix_products.pop(step)]


class ErrorVectorLearner(GradientLearner):
    """One layer of global error-vector broadcasting: every unit that its gate lets pass learns from the error itself.

    The gradient of the gates, and of average pooling, makes the rule of what the error says to each class's numbers.
    """

    def __init__(self, layer: Layer, last: bool, classes: int, *, nonnegative: bool) -> None:
        super().__init__(layer, last)
        self._units, self._nonnegative = math.prod(layer.out_shape) // classes, nonnegative

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        assert error is not None
        self.learn(step, error if self.last else error.repeat_interleave(self._units, 1))
        return None

    def updated(self) -> None:
        if self._nonnegative and not self.layer.frozen:
            self.layer.parameters[0].abs_()


class TargetLearner(GradientLearner):
    """One layer of direct random target projection: it gets the target through its own matrix."""

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        assert target is not None
        sent = super().standard(step, x)
        self.learn(step, sent - target if self.feedback is None else -(target @ self.feedback))
        return sent

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        raise NotImplementedError("direct random target projection has no second pass")


def projection(layer: Layer, layers: int, classes: int, seed: int) -> Tensor | None:
    """B_l^T, (classes, width of h_l): turns an error or target into a signal at h_l. None for the output layer."""
    if layer.number == layers:
        return None
    width = math.prod(layer.out_shape)
    return uniform((classes, width), (6 / width) ** 0.5, generator(seed, "feedback", layer.number))
