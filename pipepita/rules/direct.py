"""Learners that are taught through a matrix of their own: by the error (dfa), or by the target itself (drtp)."""

from __future__ import annotations

import math

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform
from pipepita.rules.gradient import GradientLearner


class DirectLearner(GradientLearner):
    """One layer that gets the error through a matrix of its own."""

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        assert error is not None
        self.learn(step, error if self.feedback is None else error @ self.feedback)
        return None


class TargetLearner(GradientLearner):
    """One layer that gets the target through a matrix of its own."""

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        assert target is not None
        sent = super().standard(step, x)
        self.learn(step, sent - target if self.feedback is None else -(target @ self.feedback))
        return sent

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        raise NotImplementedError("there is no second pass")


def projection(layer: Layer, layers: int, classes: int, seed: int) -> Tensor | None:
    """B_l^T, (classes, width of h_l), which makes a signal at h_l of an error or target; the output layer has none."""
    if layer.number == layers:
        return None
    width = math.prod(layer.out_shape)
    return uniform((classes, width), (6 / width) ** 0.5, generator(seed, "feedback", layer.number))
