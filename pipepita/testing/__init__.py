"""For authors of learning rules: checks that a rule keeps the contract of `pipepita.Rule` and `pipepita.Learner`."""

from pipepita.testing.checking import check_rule, checks
from pipepita.testing.verdict import Verdict

__all__ = ["Verdict", "check_rule", "checks"]
