"""A rule that is sound, for the broken ones to differ from in one thing."""

from __future__ import annotations

import math
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
    """A rule that is sound but for its learner."""

    @dataclass(frozen=True)
    class Broken(Sound):
        kind: ClassVar[type] = learner

    Broken.__module__ = __name__
    Broken.__qualname__ = "Broken"
    globals()["Broken"] = Broken  # where a copy is looked for
    return Broken()
