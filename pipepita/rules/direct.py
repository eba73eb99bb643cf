"""Learners that get the error (dfa) or the target (drtp) through a random matrix of their own."""

from __future__ import annotations

import math

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform
from pipepita.rules.gradient import GradientLearner


class DirectLearner(GradientLearner):
    """One layer of direct feedback alignment: it gets the error through its own matrix."""

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        assert error is not None
        self.learn(step, error if self.feedback is None else error @ self.feedback)
        return None


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
