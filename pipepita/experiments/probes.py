"""What is measured of the weights after each epoch. A new probe is one function and one entry in `PROBES`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pipepita.data import Data
from pipepita.network.cut import cut
from pipepita.rules import Rule

# from weights by state_dict key to what goes into the epoch's line, as JSON can hold it
Probe = Callable[[dict[str, Tensor]], dict[str, Any]]


def alignment(model: nn.Sequential, data: Data, rule: Rule, seed: int) -> Probe:
    """Degrees between F and the transposed product of the weights W_L ... W_1 (section 4.3), and the norm of each W.

    Above 90 degrees, what F adds to the input works against the error that it comes from. The rule must have one matrix
    F, as pepita with modulate=input has. "degrees" goes from 0 to 180; "norms" has one figure per layer.
    """
    layers = cut(model, data.item_shape, data.classes, seed)
    names = [f"{layer.name}.weight" for layer in layers]
    (feedback,) = rule.learner(layers[0], len(layers), data.classes, seed).fixed().values()

    def probe(weights: dict[str, Tensor]) -> dict[str, Any]:
        product = weights[names[0]]
        for name in names[1:]:
            product = weights[name] @ product
        cosine = float((product * feedback).sum() / (product.norm() * feedback.norm()))
        norms = [round(float(weights[name].norm()), 4) for name in names]
        return {"degrees": round(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))), 3), "norms": norms}

    return probe


PROBES: dict[str, Callable[[nn.Sequential, Data, Rule, int], Probe]] = {"alignment": alignment}
