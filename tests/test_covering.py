"""The small set of cases that replaces all combinations leaves no pair out."""

from __future__ import annotations

import itertools

from covering import cross, pairwise

FACTORS = {"one": "abcd", "two": range(7), "three": ("x", "y", None), "four": (True, False)}


def pairs(cases):
    return {pair for case in cases for pair in itertools.combinations(enumerate(case), 2)}


def test_every_pair_occurs_in_far_fewer_cases():
    few = pairwise(FACTORS)
    assert pairs(few) == pairs(cross(FACTORS))
    assert set(few) <= set(cross(FACTORS))
    assert len(few) == len(set(few)) <= 35 < len(cross(FACTORS))


def test_what_is_not_allowed_occurs_nowhere_and_nothing_else_is_lost():
    def allowed(one, two, **others):
        return one != "a" or two in (1, 2)

    few = pairwise(FACTORS, allowed)
    assert not [case for case in few if case[0] == "a" and case[1] not in (1, 2)]
    assert pairs(few) == pairs(cross(FACTORS, allowed))


def test_it_is_the_same_each_time():
    assert pairwise(FACTORS) == pairwise(FACTORS)
