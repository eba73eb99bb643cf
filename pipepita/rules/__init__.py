"""Learning rules: which passes a sample makes, and what a layer does in each.

A new rule is one file with a class against `Rule`, and one entry in `RULES`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pipepita.errors import UserError, unknown
from pipepita.rules.backward import Backprop, FeedbackAlignment, FixedSigns, RandomSigns, UniformSigns
from pipepita.rules.dfa import DirectFeedbackAlignment
from pipepita.rules.drtp import TargetProjection
from pipepita.rules.pepita import Pepita
from pipepita.rules.rule import Learner, Reads, Rule

RULES: dict[str, type] = {
    rule.name: rule
    for rule in (
        Pepita,
        Backprop,
        FeedbackAlignment,
        UniformSigns,
        RandomSigns,
        FixedSigns,
        DirectFeedbackAlignment,
        TargetProjection,
    )
}

# Of any of them, as on the command line
RULE_OPTIONS = tuple(dict.fromkeys(field.name for rule in RULES.values() for field in fields(rule)))


def make(name: str, options: dict[str, Any]) -> Rule:
    """The rule called `name`; `UserError` for an unknown one, or for an option that it does not have."""
    if name not in RULES:
        raise unknown("rule", name, RULES)
    has = [field.name for field in fields(RULES[name])]
    for option, value in options.items():
        if option not in has:
            raise UserError(f"{option} {value!r}: rule {name} has {', '.join(has) or 'no options'}, not this")
    rule: Rule = RULES[name](**options)
    return rule


__all__ = [
    "RULES",
    "RULE_OPTIONS",
    "Backprop",
    "DirectFeedbackAlignment",
    "FeedbackAlignment",
    "FixedSigns",
    "Learner",
    "Pepita",
    "RandomSigns",
    "Reads",
    "Rule",
    "TargetProjection",
    "UniformSigns",
    "make",
]
