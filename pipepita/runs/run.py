"""The epochs of one run: train, snapshot, evaluate, record; from the beginning, or from where a checkpoint left off.

epoch      |---------------------------|---------------------------|
snapshots  |        |        |        ||        |        |        ||      every `snapshot_every` samples
on disk    |                 |         |                 |         |      when due, and after each epoch
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pipepita.data import Data
from pipepita.errors import RunError
from pipepita.pipeline.coordinator import Coordinator, Tally
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.source import Stored, shuffled
from pipepita.pipeline.stage import State
from pipepita.rules import Rule
from pipepita.runs.checkpoint import RESUMABLE, weights_sha256
from pipepita.runs.display import Observer
from pipepita.runs.folder import RunFolder
from pipepita.runs.job import Options
from pipepita.runs.recovery import Guarded, Restart
from pipepita.runs.result import Result, quantiles
from pipepita.runs.status import Status
from pipepita.schedule import Schedule
from pipepita.timeline.recorder import Recorder

Line = dict[str, Any]


@dataclass
class Progress:
    """How far a run is. epoch: the one that goes on or comes next, from 1. step: the number of the next sample.

    tally: of this epoch. history: a line for each epoch that is over. items, seconds: of those.
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

    def about(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
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
        """What `about` came from. lines: what metrics.jsonl holds, which may be one too few, or some too many.

        `KeyError`, `TypeError` or `ValueError` where they do not go together.
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


class Run:
    """One run. model: holds the weights at the end. progress: where it begins.

    probe: called with the weights after each epoch; what it returns is the epoch's "probe". checkpoint: what `progress`
    was read from. kept_weights: whether the first weights are nobody's to draw again.
    """

    def __init__(
        self,
        model: nn.Sequential,
        data: Data,
        rule: Rule,
        settings: Options,
        schedule: Schedule,
        guarded: Guarded,
        folder: RunFolder | None,
        observer: Observer,
        stop: Callable[[], bool],
        status: Status,
        progress: Progress,
        probe: Callable[[dict[str, Tensor]], dict[str, Any]] | None = None,
        recorder: Recorder | None = None,
        checkpoint: Path | None = None,
        kept_weights: bool = False,
    ) -> None:
        self._model, self._data, self._rule, self._settings, self._schedule = model, data, rule, settings, schedule
        self._guarded, self._folder, self._observer, self._stop = guarded, folder, observer, stop
        self._status, self._progress, self._probe = status, progress, probe
        self._recorder, self._kept_weights = recorder, kept_weights
        self._samples = -(-len(data.x_train) // settings.batch_size)
        self._step_ms: list[float] = []
        self._last_checkpoint, self._written_step = checkpoint, progress.step if checkpoint else -1
        self._written_at = time.monotonic()

    def all_epochs(self, began: float, summary: dict[str, Any]) -> Result:
        """Trains to the end, or until asked to stop; `summary` comes first in the result's. Raises as `train` does."""
        try:
            self._open()
            return self._all_epochs(began, summary)
        except RunError as error:
            failure = type(error)(f"{error} ({self._kept()})")
            self._status.ends("failed", str(failure))
            raise failure from None
        except KeyboardInterrupt:
            self._status.ends("interrupted")
            raise

    def _open(self) -> None:
        self._guarded.open()
        assert self._guarded.pipeline is not None
        self.coordinator = Coordinator(
            self._guarded.pipeline, self._schedule, self._rule.passes, batch_size=self._settings.batch_size,
            seed=self._settings.seed, stop=self._stop, on_sample=self._on_sample, recorder=self._recorder,
        )  # fmt: skip
        # the last state from which a run goes on to the same bits, and where that was; not always what is there now
        self._exact = self._state(), self._progress.about()
        if self._kept_weights and self._progress.step == 0:
            self._checkpoint(*self._exact)  # no seed draws them again

    def _all_epochs(self, began: float, summary: dict[str, Any]) -> Result:
        settings, progress = self._settings, self._progress
        self._observer.begin(settings.epochs, self._samples, summary, progress.step)
        lines = progress.history
        while progress.epoch <= settings.epochs:
            lines = self._epoch()
            if self._stop():
                break
        self._observer.end()
        interrupted = progress.step < settings.epochs * self._samples
        weights = self._ordered(self._state())
        self._model.load_state_dict(weights)
        last, trained = lines[-1], progress.tally
        items, seconds = progress.items + trained.items, progress.seconds + trained.seconds
        summary = summary | {
            "epochs": len(lines),
            "steps": progress.step,
            "items": items,
            "test_accuracy": last["test_accuracy"],
            "train_loss": last["train_loss"],
            "wall_seconds": round(time.perf_counter() - began, 3),
            "items_per_second": round(items / seconds, 1) if seconds else None,
            "step_ms": quantiles(self._step_ms + trained.step_ms),
            "restarts": self._guarded.restarts,
            "weights_sha256": weights_sha256(weights),
            "run_dir": str(self._folder.path) if self._folder else None,
        }
        if self._folder is not None:
            self._folder.result(summary)
        self._status.ends("interrupted" if interrupted else "done")
        return Result(self._model, summary, lines, interrupted=interrupted)

    def restarted(self, restart: Restart) -> None:
        """Says and writes down that everything went back to the last snapshot."""
        self._status.restarted(restart.number)
        self._observer.restarted(restart)
        if self._folder is not None:
            self._folder.event("restart", step=self._progress.step, **vars(restart))

    def _on_sample(self, tally: Tally) -> None:
        self._observer.sample(tally)
        self._status.sample(self.coordinator.pipeline, tally)

    def _epoch(self) -> list[Line]:
        """One epoch, or what is left of it, or until asked to stop; the lines of all epochs so far."""
        settings, data, progress = self._settings, self._data, self._progress
        epoch, rate = progress.epoch, settings.rate_in(progress.epoch)
        self._observer.epoch_begins(epoch)
        self._status.epoch_begins(epoch, progress.tally)
        order = shuffled(len(data.x_train), settings.seed, epoch)
        every = settings.snapshot_every or self._samples
        while progress.sample < self._samples:
            target = min(self._samples, progress.sample // every * every + every)
            self._learn(order, target, rate)
            if progress.sample < target:  # asked to stop
                break
            if target < self._samples and time.monotonic() - self._written_at >= settings.checkpoint_every:
                self._checkpoint(*self._exact)
        self._status.evaluates(self.coordinator.pipeline, progress.tally)
        tested = self._guarded.ask(self._evaluate)
        line = _line(epoch, progress.step, rate, progress.tally, tested)
        if self._probe is not None:
            line["probe"] = self._probe(self._state().weights)
        if progress.sample == self._samples:
            progress.history.append(line)
            progress.items += progress.tally.items
            progress.seconds += progress.tally.seconds
            self._step_ms += progress.tally.step_ms
            progress.epoch, progress.tally = epoch + 1, Tally()
            self._exact = self._state(), progress.about()
        if self._folder is not None:
            self._record(line)
        self._status.metrics(line)
        self._observer.epoch_ends(line)
        return progress.history if progress.history[-1:] == [line] else [*progress.history, line]

    def _learn(self, order: Tensor, target: int, rate: float) -> None:
        """The samples of this epoch until before `target`, each exactly once, and a snapshot."""
        data, progress = self._data, self._progress
        epoch, first, step, before = progress.epoch, progress.sample, progress.step, progress.tally

        def work(pipeline: Pipeline) -> Tally:
            self.coordinator.pipeline, self.coordinator.step = pipeline, step
            if first == 0:
                self.coordinator.align(epoch)
            source = Stored(data.x_train, data.y_train, order, self._settings.batch_size, first, target)
            return self.coordinator.train(source, rate, before.copy())

        began = time.perf_counter()
        progress.tally = self._guarded.learn(work)
        progress.tally.seconds = before.seconds + time.perf_counter() - began  # snapshots and restarts are part of it
        progress.step = self.coordinator.step
        # where one sample at a time is in flight, any moment is as good as another to stop and go on
        drained = self._schedule.window == 1 or len(self._rule.passes) == 1
        if progress.sample and (drained or progress.sample == target):
            self._exact = self._state(), progress.about()

    def _evaluate(self, pipeline: Pipeline) -> Tally:
        self.coordinator.pipeline = pipeline
        return self.coordinator.evaluate(self._data.x_test, self._data.y_test)

    def _record(self, line: Line) -> None:
        """An epoch's checkpoint; where it was stopped, also what can be gone on from."""
        assert self._folder is not None
        reported = {key: line[key] for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy")}
        state, about = self._exact
        here = self._progress.about()
        if about["step"] == here["step"]:
            self._checkpoint(state, about | reported)
        else:
            self._checkpoint(state, about)
            self._checkpoint(self._state(), here | reported, resumable=False)

    def _checkpoint(self, state: State, about: dict[str, Any], resumable: bool = True) -> None:
        if self._folder is None or about["step"] == self._written_step:
            return
        about = {**about, RESUMABLE: resumable, "weights_sha256": weights_sha256(self._ordered(state))}
        self._last_checkpoint = self._folder.checkpoint(state, about, self._settings.keep_checkpoints)
        self._written_step, self._written_at = about["step"], time.monotonic()

    def _kept(self) -> str:
        epoch = f"epoch {self._progress.epoch}; "
        if self._last_checkpoint is None:
            return f"{epoch}no checkpoint was kept"
        return f"{epoch}the last good checkpoint is {self._last_checkpoint}"

    def _state(self) -> State:
        assert self._guarded.snapshot is not None
        return self._guarded.snapshot

    def _ordered(self, state: State) -> dict[str, Tensor]:
        return {key: state.weights[key] for key in self._model.state_dict()}


def _line(epoch: int, step: int, rate: float, trained: Tally, tested: Tally) -> Line:
    return {
        "epoch": epoch,
        "step": step,
        "lr": rate,
        "train_loss": round(trained.loss, 6) if trained.items else None,
        "train_accuracy": round(trained.accuracy, 4) if trained.items else None,
        "test_loss": round(tested.loss, 6),
        "test_accuracy": round(tested.accuracy, 4),
        "seconds": round(trained.seconds, 4),
        "items_per_second": round(trained.items / trained.seconds, 1) if trained.items else None,
        "step_ms": quantiles(trained.step_ms),
    }
