"""Learning rules: which passes a sample makes, and what a layer does in each.

A new rule is one file, here or anywhere: a frozen dataclass that inherits from `Rule`, named `module:Class` or
`file.py:Class`. One that belongs here has a short name too: one entry in `registry.BUILT_IN`. What this package exports
is imported without torch; what a rule does to layers is imported when a layer is there.
"""

from __future__ import annotations

from pipepita.rules.backward import Backprop, FeedbackAlignment, FixedSigns, RandomSigns, UniformSigns
from pipepita.rules.defaults import Defaults
from pipepita.rules.dfa import DirectFeedbackAlignment
from pipepita.rules.drtp import TargetProjection
from pipepita.rules.learner import Learner, Product
from pipepita.rules.pepita import Pepita
from pipepita.rules.registry import BUILT_IN, again, installed, make, options_of, read, reference, split_several
from pipepita.rules.rule import Reads, Rule

__all__ = [
    "BUILT_IN",
    "Backprop",
    "Defaults",
    "DirectFeedbackAlignment",
    "FeedbackAlignment",
    "FixedSigns",
    "Learner",
    "Pepita",
    "Product",
    "RandomSigns",
    "Reads",
    "Rule",
    "TargetProjection",
    "UniformSigns",
    "again",
    "installed",
    "make",
    "options_of",
    "read",
    "reference",
    "split_several",
]
