"""What is said of a recovery once everything has gone back to the last snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Restart:
    """One recovery. cause: of the fault. replaced: the stages whose actors were lost. seconds: until all went on."""

    number: int
    allowed: int
    cause: str
    replaced: tuple[int, ...]
    seconds: float

    def __str__(self) -> str:
        lost = f"stage {', '.join(map(str, self.replaced))} anew, " if self.replaced else ""
        return (
            f"{self.cause}; {lost}all back at the last snapshot after {self.seconds:.2f} s "
            f"(restart {self.number} of at most {self.allowed})"
        )
