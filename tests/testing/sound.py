"""A rule that keeps the contract, and a way to give it a learner that does not."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import ClassVar

import torch

import pipepita as pp
from pipepita.randomness import generator


class Direct(pp.GradientLearner):
    """Direct feedback alignment; `factor` is what the broken ones change."""

    def second(self, step, arriving, error):
        self.learn(step, error if self.last else error @ self.feedback * self.factor(step))

    def factor(self, step):
        return 1.0


@dataclass(frozen=True)
class Sound(pp.Rule):
    flow = pp.Flow.ALL
    kind: ClassVar[type] = Direct

    def learner(self, layer, layers, classes, seed):
        last, width = layer.number == layers, math.prod(layer.out_shape)
        drawn = torch.empty(classes, width).uniform_(-1, 1, generator=generator(seed, "feedback", layer.number))
        return self.kind(layer, last, None if last else drawn)


def rule_of(learner: type) -> pp.Rule:
    """A rule whose learner is `learner`; all else is sound."""

    @dataclass(frozen=True)
    class Broken(Sound):
        kind: ClassVar[type] = learner

    Broken.__module__ = learner.__module__
    Broken.__qualname__ = "Broken"
    sys.modules[learner.__module__].Broken = Broken  # where pickle looks for it
    return Broken()
