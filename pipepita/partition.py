"""Cuts layers into contiguous stages so that the slowest stage is as fast as it can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from pipepita.errors import UserError


def balance(costs: Sequence[float], stages: int) -> list[range]:
    """`stages` contiguous, non-empty ranges over `costs` whose largest sum is minimal.

    costs: any unit, one number a layer: multiplications counted, or seconds measured. Of equal cuts the earliest.
    `UserError` where there are fewer layers than stages.

    >>> balance([3, 1, 1, 1], 2)
    [range(0, 1), range(1, 4)]
    """
    layers = len(costs)
    if not 1 <= stages <= layers:
        raise UserError(f"{stages} stages for {layers} layers: 1 to {layers}")
    total = [0.0, *accumulate(costs)]
    # worst[i]: the smallest possible largest sum of the first i layers in as many stages as rounds so far
    worst, cuts = [float("inf") if i else 0.0 for i in range(layers + 1)], []
    for _ in range(stages):
        best = [
            min(((max(worst[j], total[i] - total[j]), j) for j in range(i)), default=(float("inf"), 0))
            for i in range(layers + 1)
        ]
        worst = [value for value, _ in best]
        cuts.append([cut for _, cut in best])
    ranges, end = [], layers
    for cut in reversed(cuts):
        ranges.append(range(cut[end], end))
        end = cut[end]
    return ranges[::-1]
