"""What is reported of a restart once everything has gone back to the last snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Restart:
    """One restart.

    Attributes:
        number: Of this one, from 1.
        allowed: How many there may be.
        cause: What happened, in words.
        replaced: The stages whose actors were lost.
        seconds: From the fault until everything went on.
    """

    number: int
    allowed: int
    cause: str
    replaced: tuple[int, ...]
    seconds: float

    def __str__(self) -> str:
        replaced = f"replaced stage {', '.join(map(str, self.replaced))}, " if self.replaced else ""
        return (
            f"{self.cause}; {replaced}all stages are back at the last snapshot after {self.seconds:.2f} s "
            f"(restart {self.number} of at most {self.allowed})"
        )
