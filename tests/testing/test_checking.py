"""The checker of rules: it passes sound rules, and names what is wrong with each broken one."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch

import pipepita as pp
from pipepita.randomness import generator
from pipepita.rules import read
from pipepita.testing import check_rule, checks


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


class Clock(Direct):
    def factor(self, step):
        return 1 + time.perf_counter() % 1


class Hours(Direct):
    """Two runs in a row see the same hour."""

    def factor(self, step):
        return 1 + time.time() // 1e6


class GlobalDraw(Direct):
    def factor(self, step):
        return 1 + float(torch.rand(()))


class GlobalSeed(Direct):
    """Two runs in a row draw the same: only another global seed shows it."""

    def factor(self, step):
        return 1 + random.Random(random.getstate()[1][1]).random()


class Counting(Direct):
    """Keeps something between samples that no snapshot knows of."""

    seen = 0

    def updated(self):
        self.seen += 1

    def factor(self, step):
        return 1 + self.seen


class Forgetful(Counting):
    """Gives it, and does not take it back."""

    def memory(self):
        return {f"{self.layer.name}.seen": torch.tensor(float(self.seen))}


class Misnamed(Counting):
    def memory(self):
        return {"seen": torch.tensor(float(self.seen))}


class Remembering(Forgetful):
    def remember(self, memory):
        self.seen = int(memory[f"{self.layer.name}.seen"])


class Gossiping(Direct):
    """Layers tell each other something that no message brings."""

    told: ClassVar[list[float]] = [0.0]

    def second(self, step, arriving, error):
        super().second(step, arriving, error)
        Gossiping.told[0] = float(self.layer.number + step % 3)

    def factor(self, step):
        return 1 + Gossiping.told[0]


class Evaluated(Direct):
    """Learns from an evaluation."""

    evaluations = 0

    def evaluate(self, x):
        self.evaluations += 1
        return super().evaluate(x)

    def factor(self, step):
        return 1 + self.evaluations


class Lazy(Direct):
    def product(self, step):
        super().product(step)


class Exploding(Direct):
    def factor(self, step):
        return math.inf


class Failing(Direct):
    def factor(self, step):
        return 1 / 0


FAILURES = {
    Clock: ("two runs are equal", "it depends on the clock"),
    Hours: ("two runs are equal", "it depends on the clock: with a clock that goes ahead"),
    GlobalDraw: ("two runs are equal", "it draws from a global generator"),
    GlobalSeed: ("two runs are equal", "it draws from a global generator: with another global seed"),
    Evaluated: ("two runs are equal", "an evaluation changes what is learnt"),
    Counting: ("goes on from a snapshot", "`memory` does not give, or that `remember` does not take back"),
    Forgetful: ("goes on from a snapshot", "`memory` does not give, or that `remember` does not take back"),
    Misnamed: ("trains", "`memory` names a tensor 'seen': its name must begin with the layer's"),
    Lazy: ("trains", "no weight has changed under"),
    Exploding: ("trains", "not finite"),
    Failing: ("trains", "ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("learner", FAILURES, ids=lambda learner: learner.__name__)
def test_what_is_wrong_with_a_learner_is_named(learner):
    name, reason = FAILURES[learner]
    failed = {verdict.name: verdict.failures for verdict in checks(rule_of(learner), ray=False) if verdict.failures}
    assert list(failed) == [name]
    assert all(reason in line and "\n" not in line for line in failed[name]), failed


def test_layers_that_know_of_each_other_without_a_message_are_found_out():
    failed = {verdict.name: verdict.failures for verdict in checks(rule_of(Gossiping), ray=False) if verdict.failures}
    assert failed
    assert "splits agree" in failed or "two runs are equal" in failed


def test_a_learner_that_remembers_passes():
    assert all(verdict.passed for verdict in checks(rule_of(Remembering), ray=False))


@dataclass
class Thawed(pp.Rule):
    flow = pp.Flow.ALL
    learner = Sound.learner


@dataclass(frozen=True)
class Loose(Sound):
    scale: float = 1.0

    def __post_init__(self):
        """Forgets to check the types."""


@dataclass(frozen=True)
class Rude(Sound):
    scale: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.scale < 0:
            raise ValueError("no")


@dataclass(frozen=True)
class Unequal(Sound):
    drawn: object = field(default_factory=object)


@dataclass(frozen=True)
class FlowAsOption(Sound):
    flow: pp.Flow = pp.Flow.ALL


@dataclass(frozen=True)
class FromAbove(Sound):
    def reads(self, name, number, layers):
        return pp.Reads(upstream=True) if name == "standard" else pp.Reads(downstream=number < layers, signal=True)


@dataclass(frozen=True)
class Deaf(Sound):
    def reads(self, name, number, layers):
        return pp.Reads(upstream=True)


@dataclass(frozen=True)
class Reserved(Sound):
    passes = ("standard", "end")


@dataclass(frozen=True)
class Endless(Sound):
    updates = ("standard",)


@dataclass(frozen=True)
class Restless(Sound):
    scale: float = 1.0

    def settled(self, layers):
        return Restless(self.scale * layers)


@dataclass(frozen=True)
class Twice(Rude, Deaf):
    """Wrong in two ways."""


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (Thawed, "plain data", "Thawed is not a frozen dataclass: write @dataclass"),
        (Unequal, "plain data", "a copy of it is not equal to it"),
        (FlowAsOption, "plain data", "flow has become an option: write it without an annotation, or as ClassVar"),
        (Loose, "wrong options are one line", "'no such value' is not a number, and is taken all the same"),
        (Rude, "wrong options are one line", "option scale = -1 ends in ValueError: no: raise UserError in one line"),
        (
            FromAbove,
            "passes and what they read",
            "goes to all layers at once, and a layer reads what comes from above",
        ),
        (Deaf, "passes and what they read", "no layer reads the signal"),
        (Reserved, "passes and what they read", "must be one or two different names, none of them evaluate, end, done"),
        (Restless, "settles for a depth", "settled(2) must be the rule itself or a changed copy of it"),
        (Endless, "passes and what they read", "must be some of the passes"),
    ],
)
def test_what_is_wrong_with_what_a_rule_says_is_named(kind, name, reason):
    verdicts = {verdict.name: verdict for verdict in checks(kind(), ray=False)}
    assert any(reason in line for line in verdicts[name].failures), verdicts[name].failures
    assert not verdicts["trains"].reached  # nothing is compared that cannot be sound


def test_all_failures_are_in_one_line():
    with pytest.raises(pp.RunError, match=r"^rule .*Twice breaks the contract: .*scale = -1 .*; .*signal") as error:
        check_rule(Twice(), ray=False)
    assert "\n" not in str(error.value)


def test_what_is_no_rule_is_refused():
    for wrong in (3, pp.Pepita, "pepita"):
        with pytest.raises(pp.UserError, match="pass a rule, like pipepita.Pepita"):
            check_rule(wrong, ray=False)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["pepita:form=recompute", "pepita:modulate=all", "brsf:keep_signs=true", "drtp"])
def test_built_in_rules_pass(text):
    assert len(check_rule(read(text), ray=False)) == 9


def test_a_rule_for_linear_layers_only_is_checked_on_them():
    verdicts = {verdict.name: verdict for verdict in check_rule(read("pepita:mirror=3,modulate=all"), ray=False)}
    assert verdicts["trains"].note.startswith("only linear layers: mirror 3: layer 1 is a convolution")


class Processes(Direct):
    """Equal in one process, different in actors."""

    def factor(self, step):
        import os

        return 1 + os.getpid() % 7 / 7 if step > 2 else 1.0


@pytest.mark.slow
def test_in_actors_a_sound_rule_passes_and_one_that_depends_on_its_process_does_not():
    assert [verdict.name for verdict in check_rule(Sound())][-2:] == [
        "Ray actors agree, shared memory", "Ray actors agree, TCP",
    ]  # fmt: skip
    failed = {verdict.name: verdict.failures for verdict in checks(rule_of(Processes)) if verdict.failures}
    assert set(failed) == {"Ray actors agree, shared memory", "Ray actors agree, TCP"}
    assert all("it depends on its process" in line for lines in failed.values() for line in lines)
