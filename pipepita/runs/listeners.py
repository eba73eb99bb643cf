"""Who is told how a run goes: the display, its status, its folder, TensorBoard, and whoever the caller sends.

    prepares ... begin   epoch_begins  sample sample ... evaluates  epoch_ends   epoch_begins ...   finished   end
                                          lost, restarted, snapshot at any time in between

A new listener is one class that overrides what it wants to hear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipepita.errors import PipepitaError
    from pipepita.pipeline.tally import Tally
    from pipepita.runs.progress import Progress
    from pipepita.runs.restart import Restart


class Listener:
    """Is told of everything, and does nothing."""

    def warn(self, text: str) -> None:
        """Something that people should know before it happens."""

    def prepares(self, text: str) -> None:
        """What is going on before the first sample."""

    def begin(self, epochs: int, samples: int, summary: dict[str, Any], done: int = 0) -> None:
        """A run of `epochs` epochs of `samples` samples begins, or goes on after `done` samples."""

    def epoch_begins(self, epoch: int, tally: Tally) -> None:
        """Epoch `epoch` (from 1) begins, or goes on after the samples of `tally`."""

    def sample(self, tally: Tally) -> None:
        """One more sample of this epoch is done."""

    def snapshot(self, progress: Progress) -> None:
        """The pipeline is drained, and what it has learnt is kept: after a fault the run goes on from here."""

    def evaluates(self, tally: Tally) -> None:
        """The epoch's samples are done, and the test items come."""

    def epoch_ends(self, line: dict[str, Any]) -> None:
        """An epoch is over; `line` is what metrics.jsonl gets."""

    def lost(self, fault: PipepitaError) -> None:
        """A stage is lost, or a link, and about to be rebuilt."""

    def restarted(self, restart: Restart) -> None:
        """Lost stages are back, and everything has gone back to the last snapshot."""

    def finished(self, outcome: str, error: str | None = None) -> None:
        """The run is "done", "interrupted", or has "failed" with `error`."""

    def end(self) -> None:
        """Nothing more comes, however the run ended; also called if it never began."""


class Listeners(Listener):
    """Passes everything on to others, in their order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._all = list(listeners)

    def add(self, listener: Listener) -> None:
        """One more; told before the others, so that what people see is on the disk already."""
        self._all.insert(0, listener)


def _passed_on(event: str) -> Callable[..., None]:
    def tell(self: Listeners, *facts: Any, **more: Any) -> None:
        for one in self._all:
            getattr(one, event)(*facts, **more)

    return tell


for _event in (name for name in vars(Listener) if not name.startswith("_")):
    setattr(Listeners, _event, _passed_on(_event))
