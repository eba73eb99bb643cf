"""The defaults of `Rule` and `Learner`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

import pipepita as pp
from pipepita.schedule import Flow


def plain(flow: Flow) -> pp.Rule:
    """A rule that defines only what it must."""

    @dataclass(frozen=True)
    class Plain(pp.Rule):
        def learner(self, layer, layers, classes, seed):
            raise NotImplementedError

    Plain.flow = flow
    return Plain()


UP, BACK, TOLD = pp.Reads(upstream=True), pp.Reads(downstream=True), pp.Reads(signal=True)


@pytest.mark.parametrize(
    ("flow", "passes", "first", "second"),
    [
        (Flow.UP, ("standard", "modulated"), [UP] * 3, [TOLD, UP, UP._replace(signal=True)]),
        (Flow.DOWN, ("standard", "backward"), [UP] * 3, [BACK, BACK, TOLD]),
        (Flow.ALL, ("standard", "broadcast"), [UP] * 3, [TOLD] * 3),
        (Flow.NONE, ("standard",), [UP._replace(signal=True)] * 3, None),
    ],
)
def test_passes_and_reads_follow_from_the_flow(flow, passes, first, second):
    rule = plain(flow)
    assert (rule.name, rule.passes, rule.updates, rule.rows, rule.aligns) == ("Plain", passes, passes[-1:], 1, False)
    assert [rule.reads(passes[0], number, 3) for number in (1, 2, 3)] == first
    if second is not None:
        assert [rule.reads(passes[1], number, 3) for number in (1, 2, 3)] == second


def test_built_in_rules_with_only_a_flow_use_the_defaults():
    for rule in (pp.Backprop(), pp.FeedbackAlignment(), pp.DirectFeedbackAlignment(), pp.TargetProjection()):
        assert type(rule).reads is pp.Rule.reads and type(rule).passes is pp.Rule.passes


def test_pepita_aligns_if_it_mirrors():
    assert [pp.Pepita(mirror=mirror, modulate="all").aligns for mirror in (0, 3)] == [False, True]


def test_a_learner_of_few_methods_does_nothing_else():
    class Few(pp.Learner):
        def standard(self, step, x, target=None):
            return x

        def second(self, step, arriving, error):
            return None

        def product(self, step):
            return None

        def evaluate(self, x):
            return x

    learner, above = Few(), torch.ones(2)
    learner.updated()
    learner.remember({})
    assert (learner.fixed(), learner.memory()) == ({}, {})
    assert learner.align(1, above) is above and learner.align(1, None) is None
