"""A small set of cases instead of all combinations: every pair of values of two factors occurs in at least one case."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Case = tuple[Any, ...]


def cross(factors: Mapping[str, Sequence[Any]], allowed: Callable[..., bool] = lambda **values: True) -> list[Case]:
    """Every allowed combination of one value of each factor. `allowed` gets the values by their factors' names."""
    combinations = itertools.product(*factors.values())
    return [case for case in combinations if allowed(**dict(zip(factors, case, strict=True)))]


def pairwise(factors: Mapping[str, Sequence[Any]], allowed: Callable[..., bool] = lambda **values: True) -> list[Case]:
    """A few of `cross`: each pair of values that occurs in an allowed case occurs in one of these.

    Greedy and deterministic: always the case with the most pairs that are still missing, the first of equals.
    """
    cases = cross(factors, allowed)
    numbers: dict[Any, int] = {}
    pairs = [sum(1 << numbers.setdefault(pair, len(numbers)) for pair in _pairs(case)) for case in cases]
    missing, chosen = (1 << len(numbers)) - 1, []
    while missing:
        best = max(range(len(cases)), key=lambda place: (pairs[place] & missing).bit_count())
        missing &= ~pairs[best]
        chosen.append(cases[best])
    return chosen


def _pairs(case: Case) -> itertools.combinations:
    """Every two positions of a case, with their values."""
    return itertools.combinations(enumerate(case), 2)
