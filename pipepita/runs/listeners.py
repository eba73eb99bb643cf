"""Who is told how a run goes: the display, its status, its folder, TensorBoard, and whatever the caller passes.

    resumes  prepares  chose  begin   epoch_begins  sample sample ...  evaluates  epoch_ends   ...   finished  end
                                      warn, lost, restarted, snapshot at any time in between, recorded at the end

A new listener is one class that overrides the events it wants to hear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipepita.errors import PipepitaError
    from pipepita.pipeline.tally import Tally
    from pipepita.runs.progress import Progress
    from pipepita.runs.restart import Restart
    from pipepita.timeline.reading import Timeline


class Listener:
    """Is told of every event of a run, and does nothing. Subclasses override the events that they want to hear.

    All events come in the thread that called `train`, between samples: a listener that takes long slows the run down.
    An exception that a listener raises ends the run.

    Example:
        >>> import pipepita as pp
        >>> class Counter(Listener):
        ...     def epoch_ends(self, line):
        ...         print(f"epoch {line['epoch']}: {line['step']} samples so far")
        >>> data = pp.load("digits")
        >>> model = pp.build("fc:32", data.item_shape, data.classes)
        >>> result = pp.train(model, data, engine="local", epochs=2, observer=Counter())
        epoch 1: 23 samples so far
        epoch 2: 46 samples so far
    """

    def warn(self, text: str) -> None:
        """Something that people should know before it happens.

        Args:
            text: One line, without a final stop.
        """

    def resumes(self, progress: Progress) -> None:
        """An earlier run will go on, from its last checkpoint that keeps the bits.

        Args:
            progress: How far the run was there.
        """

    def prepares(self, text: str) -> None:
        """Something that takes a while goes on before the first sample.

        Args:
            text: What it is, like "starting the engine".
        """

    def chose(self, text: str) -> None:
        """Something was measured before the first sample, and a choice made.

        Args:
            text: What was chosen, and why: one line without a final stop.
        """

    def begin(self, epochs: int, samples: int, summary: dict[str, Any], done: int = 0) -> None:
        """The run begins, or goes on.

        Args:
            epochs: How many epochs the whole run has.
            samples: How many samples (mini-batches) an epoch has.
            summary: What is trained and how; what `Result.summary` says before the figures are known.
            done: How many samples the run has learnt from already; more than 0 if it is resumed.
        """

    def epoch_begins(self, epoch: int, tally: Tally) -> None:
        """An epoch begins, or goes on.

        Args:
            epoch: Its number, from 1.
            tally: The epoch's figures so far; empty unless the run is resumed in the middle of the epoch.
        """

    def sample(self, tally: Tally) -> None:
        """One more sample is done.

        Args:
            tally: The epoch's figures so far: losses in nats, accuracies in percent.
        """

    def snapshot(self, progress: Progress) -> None:
        """The pipeline is drained, and what it has learnt is kept: after a fault the run goes on from here.

        Args:
            progress: How far the run is.
        """

    def evaluates(self, tally: Tally) -> None:
        """The epoch's samples are done, and the test items come now.

        Args:
            tally: The epoch's figures.
        """

    def epoch_ends(self, line: dict[str, Any]) -> None:
        """An epoch is over.

        Args:
            line: What metrics.jsonl and `Result.history` get: epoch, step, lr, losses (nats), accuracies (percent).
        """

    def lost(self, fault: PipepitaError) -> None:
        """A stage or a link is lost, and will be rebuilt now.

        Args:
            fault: What happened: `StageDied`, `ChannelClosed` or `ClusterDied`.
        """

    def restarted(self, restart: Restart) -> None:
        """The lost stages are back, and everything has gone back to the last snapshot.

        Args:
            restart: What happened, and how long it took.
        """

    def recorded(self, timeline: Timeline) -> None:
        """The run is over, and it was recorded, because its job asks for a trace or a picture.

        Args:
            timeline: What the coordinator and each stage did during the last samples.
        """

    def finished(self, outcome: str, error: str | None = None) -> None:
        """The run is over.

        Args:
            outcome: "done", "interrupted" or "failed".
            error: Why it failed.
        """

    def end(self) -> None:
        """Nothing more comes, however the run ended. Also called if it never began."""


class Listeners(Listener):
    """Passes every event on to other listeners, in their order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._all = list(listeners)

    def add(self, listener: Listener) -> None:
        """Adds a listener before the others: what people see last must be on the disk already."""
        self._all.insert(0, listener)


def _passed_on(event: str) -> Callable[..., None]:
    def tell(self: Listeners, *facts: Any, **more: Any) -> None:
        for one in self._all:
            getattr(one, event)(*facts, **more)

    return tell


for _event in (name for name in vars(Listener) if not name.startswith("_")):
    setattr(Listeners, _event, _passed_on(_event))
