"""What an online run that died has left: its last checkpoint, and the lines and predictions since then."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipepita.live import journal
from pipepita.live.entry import Entry
from pipepita.live.items import Parser, Refused
from pipepita.pipeline.tally import Tally
from pipepita.runs.progress import Progress, Resumption
from pipepita.runs.store.checkpoint import Checkpoint

JOURNAL, PREDICTIONS = "journal", "predictions.jsonl"


@dataclass(frozen=True)
class Past:
    """What has happened before. Without arguments: nothing.

    Attributes:
        resumption: From the checkpoint.
        names: Labels that are texts.
        position: The first line that the checkpoint does not hold.
        published: How many predictions had been made by then.
        known: How many have been made known since.
        kept: Lines of the journal, by their numbers.
        asked: (id, number of the line, what was predicted) of each item that waited for its label.
        targets: What is known of the labels.
    """

    resumption: Resumption = field(default_factory=lambda: Resumption(Progress()))
    names: Sequence[str] = ()
    position: int = 0
    published: int = 0
    known: int = 0
    kept: Mapping[int, bytes] = field(default_factory=dict)
    asked: Sequence[Sequence[Any]] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, run_dir: Path, checkpoint: Checkpoint | None) -> Self:
        """What the folder of a run holds. `KeyError`, `TypeError` or `ValueError` if it does not fit together."""
        written, kept = _published(run_dir), journal.read(run_dir / JOURNAL)
        if checkpoint is None:
            return cls(known=written, kept=kept)
        about = checkpoint.about
        progress = Progress(step=int(about["step"]), tally=Tally.of(about["tally"]), items=int(about["items"]))
        before = int(about["published"])
        return cls(
            Resumption(progress, checkpoint.state(), checkpoint.path),
            list(about["labels"]), int(about["position"]), before, max(0, written - before), kept, about["waiting"],
            about.get("targets", {}),
        )  # fmt: skip

    @property
    def number(self) -> int:
        """The number of the next line."""
        return max(self.position, 1 + max(self.kept, default=-1))

    @property
    def unread(self) -> dict[int, bytes]:
        """The lines that arrived after the checkpoint."""
        return {number: line for number, line in self.kept.items() if number >= self.position}

    def waiting(self, parser: Parser) -> list[Entry]:
        """The items that waited for their labels. `ValueError` if the journal does not have one of them."""
        entries = []
        for name, number, predicted in self.asked:
            if number not in self.kept:
                raise ValueError(f"line {number} of the journal is missing")
            try:
                x = parser.read(self.kept[number], 0.0).x
            except Refused as error:
                raise ValueError(f"line {number} of the journal: {error}") from None
            if x is None:
                raise ValueError(f"line {number} of the journal holds no item")
            entries.append(Entry(name, x, time.perf_counter(), None, predicted, number))
        return entries


def _published(folder: Path) -> int:
    """How many predictions the folder of a run holds. A last one that was not written to its end is removed."""
    path = folder / PREDICTIONS
    if not path.is_file():
        return 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    return content.count(b"\n")
