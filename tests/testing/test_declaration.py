"""What each rule here says about itself is wrong in one way, which the checker must name."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from testing.sound import Sound

import pipepita as pp
from pipepita.testing import checks


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
    assert not verdicts["trains"].reached  # no run is compared with another if the rule is not sound
