"""The result of one check of a rule."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Verdict:
    """One check.

    Attributes:
        name: What was checked, in a few words.
        failures: What is wrong, one line each; none if the rule passed.
        note: A remark, like "only linear layers".
        seconds: How long it took.
        reached: Whether the check was run. If the rule cannot even train, later checks are not.

    Example:
        >>> Verdict("trains", ["no weight has changed"]).passed, Verdict("splits agree", reached=False).passed
        (False, False)
    """

    name: str
    failures: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0
    reached: bool = True

    @property
    def passed(self) -> bool:
        """Whether it was run and found nothing wrong."""
        return self.reached and not self.failures
