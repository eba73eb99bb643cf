"""Learning rules: which passes a sample makes, and what a layer does in each.

A new rule is one file with a class against `Rule`, and one entry in `RULES`.
"""

from __future__ import annotations

from pipepita.rules.pepita import Pepita
from pipepita.rules.rule import Learner, Reads, Rule

RULES: dict[str, type[Pepita]] = {"pepita": Pepita}

__all__ = ["RULES", "Learner", "Pepita", "Reads", "Rule"]
