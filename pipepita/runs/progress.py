"""How far a run is, and where an interrupted run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipepita.pipeline.state import State
from pipepita.pipeline.tally import Tally

Line = dict[str, Any]  # one epoch, as metrics.jsonl has it


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: The current or next one, from 1.
        step: The number of the next sample, from 0.
        tally: The figures of this epoch.
        history: One line for each epoch that is over.
        items, seconds: The sums over those epochs.
    """

    epoch: int = 1
    step: int = 0
    tally: Tally = field(default_factory=Tally)
    history: list[Line] = field(default_factory=list)
    items: int = 0
    seconds: float = 0.0

    @property
    def sample(self) -> int:
        """How many samples of this epoch have been learnt from."""
        return self.tally.steps

    def ends_epoch(self, line: Line) -> None:
        """Goes on to the next epoch. line: about the one that is over."""
        self.history.append(line)
        self.items += self.tally.items
        self.seconds += self.tally.seconds
        self.epoch, self.tally = self.epoch + 1, Tally()

    def about(self) -> dict[str, Any]:
        """The progress as a checkpoint keeps it."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "sample": self.sample,
            "tally": self.tally.sums(),
            "items": self.items,
            "seconds": self.seconds,
            "line": self.history[-1] if self.history else None,
        }

    @classmethod
    def of(cls, about: dict[str, Any], lines: list[Line]) -> Progress:
        """The progress that `about` was made from. lines: of metrics.jsonl. One may be missing, or some be too many.

        `KeyError`, `TypeError` or `ValueError` if they do not go together.
        """
        epoch = int(about["epoch"])
        history = lines[: epoch - 1]
        if len(history) == epoch - 2:  # the run was killed between a checkpoint and its line
            history = [*history, about["line"]]
        if [line["epoch"] for line in history] != list(range(1, epoch)):
            raise ValueError(f"metrics.jsonl does not hold the epochs until {epoch}")
        return cls(
            epoch, int(about["step"]), Tally.of(about["tally"]), history, int(about["items"]), float(about["seconds"])
        )


@dataclass(frozen=True)
class Resumption:
    """Where an interrupted run goes on.

    Attributes:
        state, checkpoint: None if it was killed before its first checkpoint.
    """

    progress: Progress
    state: State | None = None
    checkpoint: Path | None = None
