"""Test accuracies of several seeds, as a table shows them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from pipepita.runs.display import Observer


@dataclass
class Accuracies:
    """Test accuracies, one per seed that did not diverge, and how many diverged."""

    values: list[float] = field(default_factory=list)
    diverged: int = 0

    def __str__(self) -> str:
        diverged = f"{self.diverged} diverged" if self.diverged else ""
        if not self.values:
            return diverged
        spread = f" ± {statistics.stdev(self.values):.2f}" if len(self.values) > 1 else ""
        return f"{statistics.mean(self.values):.2f}{spread}" + (f" ({diverged})" if diverged else "")


class Silent(Observer):
    """Passes on no warning: what the textbook form warns of is what the tables show."""

    def warn(self, text: str) -> None:
        pass
