"""A learning rule of one's own, complete: direct feedback alignment through sparse matrices (Crafton et al. 2019).

    standard pass    h_l = f_l(W_l h_{l-1})
    broadcast pass   delta_l = (B_l e) f_l'(a_l)        delta_L = e        dW_l = delta_l h_{l-1}^T

e is the output minus the target, and B_l a fixed random matrix of which only a few entries are not 0. Try it:

    pipepita check-rule scripts/examples/my_rule.py:MyRule
    pipepita train --rule scripts/examples/my_rule.py:MyRule --lr 0.03 --engine ray --stages 2
    pipepita train --rule scripts/examples/my_rule.py:MyRule:density=0.5 --lr 0.03

To write a rule of your own, begin with a copy of this file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import pipepita as pp
from pipepita.network.layer import Layer
from pipepita.randomness import generator


class MyLearner(pp.GradientLearner):
    """One layer: `GradientLearner` keeps the sample in flight and makes the update, once it is given a signal."""

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> None:
        assert error is not None, "with Flow.ALL the error reaches every layer"
        self.learn(step, error if self.feedback is None else error @ self.feedback)  # nothing goes on to other layers


@dataclass(frozen=True)
class MyRule(pp.Rule):
    """density: which share of the feedback matrices' entries is not 0."""

    density: float = 0.1  # a field is an option: --rule my_rule:MyRule:density=0.5

    flow = pp.Flow.ALL  # the error goes to all layers at once

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.density <= 1:
            raise pp.UserError(f"density {self.density} is not a share above 0 and up to 1")

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> MyLearner:
        if layer.number == layers:
            return MyLearner(layer, last=True)
        width = math.prod(layer.out_shape)
        source = generator(seed, "feedback", layer.number)  # never a global generator
        entries = torch.empty(classes, width).uniform_(-1, 1, generator=source)
        kept = torch.rand(classes, width, generator=source) < self.density
        return MyLearner(layer, last=False, feedback=entries * kept * (6 / (width * self.density)) ** 0.5)
