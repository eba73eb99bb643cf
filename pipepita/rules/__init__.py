"""Learning rules: which passes a sample makes, and what a layer does in each.

A new rule is one file, here or anywhere: a frozen dataclass that inherits from `Rule`. It is named `module:Class` or
`file.py:Class`. A built-in rule also has a short name, which is one entry in `registry.BUILT_IN`. This package can be
imported without torch: a rule imports what it needs to train layers when it is given the first one.
"""

from __future__ import annotations

from pipepita.rules.backward import Backprop, FeedbackAlignment, FixedSigns, RandomSigns, UniformSigns
from pipepita.rules.defaults import Defaults
from pipepita.rules.dfa import DirectFeedbackAlignment
from pipepita.rules.dni import SyntheticGradients
from pipepita.rules.drtp import TargetProjection
from pipepita.rules.gevb import ErrorVectors
from pipepita.rules.learner import Learner, Product
from pipepita.rules.local import LocalLoss
from pipepita.rules.pepita import Pepita
from pipepita.rules.registry import (
    BUILT_IN,
    again,
    installed,
    make,
    options_of,
    read,
    reference,
    split_several,
    text_of,
)
from pipepita.rules.rule import Reads, Rule

__all__ = [
    "BUILT_IN",
    "Backprop",
    "Defaults",
    "DirectFeedbackAlignment",
    "ErrorVectors",
    "FeedbackAlignment",
    "FixedSigns",
    "Learner",
    "LocalLoss",
    "Pepita",
    "Product",
    "RandomSigns",
    "Reads",
    "Rule",
    "SyntheticGradients",
    "TargetProjection",
    "UniformSigns",
    "again",
    "installed",
    "make",
    "options_of",
    "read",
    "reference",
    "split_several",
    "text_of",
]
