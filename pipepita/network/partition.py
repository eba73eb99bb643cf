"""Divides layers into contiguous stages so that the slowest stage is as fast as possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

from pipepita.errors import UserError


def balance(costs: Sequence[float], stages: int) -> list[range]:
    """Divides layers into stages so that the largest sum of costs in a stage is as small as possible.

    Args:
        costs: One number per layer in any unit, like multiplications or seconds.
        stages: How many stages there are.

    Returns:
        One range of layers, counted from 0, per stage. Of equally good divisions, the one whose stages end earliest.

    Raises:
        UserError: There are fewer layers than stages.

    Example:
        >>> balance([3, 1, 1, 1], 2)
        [range(0, 1), range(1, 4)]
    """
    total = [0.0, *accumulate(costs)]
    return balance_by(len(costs), stages, lambda stage, part: total[part.stop] - total[part.start])


def balance_by(layers: int, stages: int, cost: Callable[[int, range], float]) -> list[range]:
    """`balance` for stages on different devices, where the same layers cost differently at each stage.

    Args:
        layers: How many layers there are.
        stages: How many stages there are.
        cost: The cost of a range of layers at a stage (both from 0): at least 0, and infinite if they do not fit there.

    Returns:
        As `balance`. If no division fits, one that does not.

    Raises:
        UserError: There are fewer layers than stages.
    """
    if not 1 <= stages <= layers:
        raise UserError(f"{stages} stages for {layers} layers: 1 to {layers}")
    if stages == layers:
        return [range(layer, layer + 1) for layer in range(layers)]
    # worst[i]: the cost of the most expensive stage when the first i layers are divided, as well as possible, among the
    # stages seen so far. begins[stage][i]: where the last of these stages then begins
    worst, begins = [math.inf if i else 0.0 for i in range(layers + 1)], []
    for stage in range(stages):
        best = []
        for stop in range(layers + 1):
            # the stages before and after this one need at least one layer each
            room = stage < stop <= layers - (stages - 1 - stage)
            starting = range(stage, stop) if room else range(0)
            choices = ((max(worst[start], cost(stage, range(start, stop))), start) for start in starting)
            best.append(min(choices, default=(math.inf, 0)))
        worst = [value for value, _ in best]
        begins.append([start for _, start in best])
    ranges, end = [], layers
    for starts in reversed(begins):
        ranges.append(range(starts[end], end))
        end = starts[end]
    return ranges[::-1]
