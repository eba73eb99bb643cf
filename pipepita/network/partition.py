"""Divides layers into contiguous stages so that the slowest stage is as fast as possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from pipepita.errors import UserError

AUTO = "auto"  # the stages that are measured to be fastest


def balance(costs: Sequence[float], stages: int) -> list[range]:
    """Divides layers into stages so that the largest sum of costs in a stage is as small as possible.

    Args:
        costs: One number per layer in any unit, like multiplications or seconds.
        stages: How many stages there are.

    Returns:
        One range of layers, counted from 0, per stage. Of equally good divisions, one whose last stage begins earliest;
        the stages before it are divided in the same way.

    Raises:
        UserError: There are fewer layers than stages, or `stages` is below 1.

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
        UserError: There are fewer layers than stages, or `stages` is below 1.
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


def read(stages: int | str) -> int | str:
    """Checks what an option for stages is given.

    Args:
        stages: A number of stages, "auto", or how many layers each stage holds, like "2,1,1"; numbers may be text.

    Returns:
        A number, `AUTO`, or the layers of each stage as `in_words` writes them.

    Raises:
        UserError: It is none of these, or a number is below 1.

    Example:
        >>> read("3"), read("auto"), read("2, 1")
        (3, 'auto', '2,1')
    """
    if stages == AUTO:
        return AUTO
    try:
        numbers = [int(part) for part in str(stages).split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UserError(f"stages {stages!r}: a number of at least 1, auto, or the layers of each stage like 2,1,1")
    return numbers[0] if len(numbers) == 1 else ",".join(map(str, numbers))


def divide(stages: int | str, costs: Sequence[float]) -> list[range]:
    """The stages that `read` has read: as many balanced ones, or those that were written out.

    Args:
        stages: What `read` returned, but not `AUTO`.
        costs: As in `balance`.

    Returns:
        One range of layers, counted from 0, per stage.

    Raises:
        UserError: The network has fewer layers than stages, or another number of layers than was written out.

    Example:
        >>> divide("1,2", [3, 1, 1])
        [range(0, 1), range(1, 3)]
    """
    if isinstance(stages, int):
        return balance(costs, stages)
    ends = [0, *accumulate(map(int, stages.split(",")))]
    if ends[-1] != len(costs):
        raise UserError(f"stages {stages!r} hold {ends[-1]} layers, but the network has {len(costs)}")
    return [range(*ends) for ends in pairwise(ends)]


def in_words(parts: Sequence[range]) -> str:
    """How many layers each stage holds, as `read` reads it: "2,1,1". One stage is "1", whatever it holds."""
    return "1" if len(parts) == 1 else ",".join(str(len(part)) for part in parts)
