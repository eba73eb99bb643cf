"""Cuts layers into contiguous stages so that the slowest stage is as fast as it can be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

from pipepita.errors import UserError


def balance(costs: Sequence[float], stages: int) -> list[range]:
    """`stages` contiguous, non-empty ranges over `costs` whose largest sum is minimal.

    costs: any unit, one number a layer: multiplications counted, or seconds measured. Of equal cuts the earliest.
    `UserError` where there are fewer layers than stages.

    >>> balance([3, 1, 1, 1], 2)
    [range(0, 1), range(1, 4)]
    """
    total = [0.0, *accumulate(costs)]
    return cut(len(costs), stages, lambda stage, part: total[part.stop] - total[part.start])


def cut(layers: int, stages: int, cost: Callable[[int, range], float]) -> list[range]:
    """The same where a range costs what its stage makes of it.

    cost: of these layers at this stage (from 0), at least 0; infinite where they do not fit. Where nothing fits, some
    cut that does not. `UserError` where there are fewer layers than stages.
    """
    if not 1 <= stages <= layers:
        raise UserError(f"{stages} stages for {layers} layers: 1 to {layers}")
    if stages == layers:
        return [range(layer, layer + 1) for layer in range(layers)]
    # worst[i]: the smallest possible largest cost of the first i layers in as many stages as rounds so far
    worst, cuts = [math.inf if i else 0.0 for i in range(layers + 1)], []
    for stage in range(stages):
        best = []
        for stop in range(layers + 1):
            # a layer each is left for the stages before and behind
            room = stage < stop <= layers - (stages - 1 - stage)
            starting = range(stage, stop) if room else range(0)
            choices = ((max(worst[start], cost(stage, range(start, stop))), start) for start in starting)
            best.append(min(choices, default=(math.inf, 0)))
        worst = [value for value, _ in best]
        cuts.append([start for _, start in best])
    ranges, end = [], layers
    for starts in reversed(cuts):
        ranges.append(range(starts[end], end))
        end = starts[end]
    return ranges[::-1]
