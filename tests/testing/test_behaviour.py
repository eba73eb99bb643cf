"""Each learner here is wrong in one way, which the checker must name."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from testing.sound import Direct, Sound, rule_of

import pipepita as pp
from pipepita.testing import check_rule, checks


class Clock(Direct):
    def factor(self, step):
        return 1 + time.perf_counter() % 1


class Hours(Direct):
    """Two runs in a row read the same hour."""

    def factor(self, step):
        return 1 + time.time() // 1e6


class GlobalDraw(Direct):
    def factor(self, step):
        return 1 + float(torch.rand(()))


class GlobalSeed(Direct):
    """Two runs in a row draw the same numbers: only another global seed reveals it."""

    def factor(self, step):
        return 1 + random.Random(random.getstate()[1][1]).random()


class Counting(Direct):
    """Keeps something between samples that no snapshot holds."""

    seen = 0

    def updated(self):
        self.seen += 1

    def factor(self, step):
        return 1 + self.seen


class Forgetful(Counting):
    """Puts it into a snapshot, and does not restore it."""

    def memory(self):
        return {f"{self.layer.name}.seen": torch.tensor(float(self.seen))}


class Misnamed(Counting):
    def memory(self):
        return {"seen": torch.tensor(float(self.seen))}


class Remembering(Forgetful):
    def remember(self, memory):
        self.seen = int(memory[f"{self.layer.name}.seen"])


class Gossiping(Direct):
    """Layers tell each other something without a message."""

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
    Counting: ("goes on from a snapshot", "`memory` does not return or that `remember` does not restore"),
    Forgetful: ("goes on from a snapshot", "`memory` does not return or that `remember` does not restore"),
    Misnamed: ("trains", "`memory` names a tensor 'seen': its name must begin with the layer's"),
    Lazy: ("trains", "no weight has changed under"),
    Exploding: ("trains", "not finite"),
    Failing: ("trains", "ZeroDivisionError: division by zero (test_behaviour.py:"),
}


@pytest.mark.parametrize("learner", FAILURES, ids=lambda learner: learner.__name__)
def test_what_is_wrong_with_a_learner_is_named(learner):
    name, reason = FAILURES[learner]
    failed = {verdict.name: verdict.failures for verdict in checks(rule_of(learner), ray=False) if verdict.failures}
    assert list(failed) == [name]
    assert all(reason in line and "\n" not in line for line in failed[name]), failed


@dataclass(frozen=True)
class Mute(Sound):
    """Says that its second pass goes down the layers, and gives them nothing."""

    flow = pp.Flow.DOWN


def test_a_pass_that_gives_nothing_to_the_next_layer_is_named():
    failed = {verdict.name: verdict.failures for verdict in checks(Mute(), ray=False) if verdict.failures}
    (line,) = failed["trains"]
    assert "a learner returned nothing from its backward pass, whose result goes on to another layer" in line


def test_layers_that_tell_each_other_something_without_a_message_fail():
    failed = {verdict.name: verdict.failures for verdict in checks(rule_of(Gossiping), ray=False) if verdict.failures}
    assert failed
    assert "splits agree" in failed or "two runs are equal" in failed


def test_a_learner_that_remembers_passes():
    assert all(verdict.passed for verdict in checks(rule_of(Remembering), ray=False))


class Processes(Direct):
    """Runs are equal in one process, and differ in actors."""

    def factor(self, step):
        import os

        return 1 + os.getpid() % 7 / 7 if step > 2 else 1.0


@pytest.mark.slow
def test_in_actors_a_sound_rule_passes_and_one_that_depends_on_its_process_does_not(lent_engine):
    assert [verdict.name for verdict in check_rule(Sound())][-2:] == [
        "Ray actors agree, shared memory", "Ray actors agree, TCP",
    ]  # fmt: skip
    failed = {verdict.name: verdict.failures for verdict in checks(rule_of(Processes)) if verdict.failures}
    assert set(failed) == {"Ray actors agree, shared memory", "Ray actors agree, TCP"}
    assert all("it depends on its process" in line for lines in failed.values() for line in lines)
