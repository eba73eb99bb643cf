"""For who writes a learning rule: does it keep the contract that `pipepita.Rule` and `pipepita.Learner` describe?"""

from pipepita.testing.checking import check_rule, checks
from pipepita.testing.verdict import Verdict

__all__ = ["Verdict", "check_rule", "checks"]
