"""The epochs of one run: train, snapshot, evaluate, record. A run begins with the first sample, or at a checkpoint.

epoch      |---------------------------|---------------------------|
snapshots  |        |        |        ||        |        |        ||      every `snapshot_every` samples
on disk    |                 |         |                 |         |      when due, and after each epoch
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from pipepita.data.agenda import Agenda
from pipepita.data.items import Items
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.tally import Tally
from pipepita.runs.listeners import Listener
from pipepita.runs.options.job import Options
from pipepita.runs.progress import Line, Progress
from pipepita.runs.recovery import Guarded
from pipepita.runs.result import quantiles
from pipepita.runs.store.checkpoint import weights_sha256
from pipepita.runs.store.keeper import Keeper
from pipepita.timeline.recorder import coordinator_recorder

Probe = Callable[[dict[str, Tensor]], dict[str, Any]]


class Run:
    """One run through an open, guarded pipeline, whose plan says what is trained and on which schedule.

    items, agenda: what it reads, in which order. progress: where the run begins, and from then on how far it is. probe:
    called with the weights after each epoch; what it returns becomes the epoch's "probe".
    """

    def __init__(
        self,
        guarded: Guarded,
        items: Items,
        agenda: Agenda,
        settings: Options,
        progress: Progress,
        keeper: Keeper,
        listeners: Listener,
        probe: Probe | None = None,
    ) -> None:
        plan = guarded.plan
        self.progress = progress
        self._guarded, self._settings, self._keeper = guarded, settings, keeper
        self._items, self._agenda = items, agenda
        self._listeners, self._probe, self._plan = listeners, probe, plan
        self._samples = agenda.samples
        self._step_ms: list[float] = []
        self.recorder = coordinator_recorder(plan.record)
        self._coordinator = Coordinator(
            guarded.pipeline, plan.schedule, plan.task.rule.passes, batch_size=settings.batch_size, seed=settings.seed,
            stop=guarded.stop, on_sample=listeners.sample, recorder=self.recorder,
        )  # fmt: skip
        # The last state, with its progress, from which a resumed run ends with the same bits. With samples in flight, a
        # run that was stopped in between has drained the pipeline where an undisturbed run would not have.
        self._resumable = guarded.learnt, progress.about()

    def keep_first(self) -> None:
        """Writes a checkpoint of the weights that the run begins with: the first snapshot may come much later."""
        self._keeper.keep(*self._resumable)

    @property
    def interrupted(self) -> bool:
        """Whether the run was asked to stop before its end."""
        return self.progress.step < self._settings.epochs * self._samples

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights of the last snapshot, by state_dict key."""
        return self._plan.task.weights(self._guarded.learnt)

    def all_epochs(self, summary: dict[str, Any]) -> list[Line]:
        """Trains to the end, or until asked to stop. Returns one line per epoch. summary: for the listeners."""
        settings, progress = self._settings, self.progress
        self._listeners.begin(settings.epochs, self._samples, summary, progress.step)
        lines = progress.history
        while progress.epoch <= settings.epochs:
            lines = self._epoch()
            if self._guarded.stop():
                break
        return lines

    def figures(self, lines: list[Line], began: float) -> dict[str, Any]:
        """The figures of the summary, once the run is over. began: when it began, in seconds of `time.perf_counter`."""
        progress, trained, last = self.progress, self.progress.tally, lines[-1]
        items, seconds = progress.items + trained.items, progress.seconds + trained.seconds
        return {
            "epochs": len(lines),
            "steps": progress.step,
            "items": items,
            **{name: value for name, value in last.items() if name.startswith("test_") and name != "test_loss"},
            "train_loss": last["train_loss"],
            "wall_seconds": round(time.perf_counter() - began, 3),
            "items_per_second": round(items / seconds, 1) if seconds else None,
            "step_ms": quantiles(self._step_ms + trained.step_ms),
            "restarts": self._guarded.restarts,
            "weights_sha256": weights_sha256(self.weights),
        }

    def _epoch(self) -> list[Line]:
        """Trains one epoch, or what is left of it, or until asked to stop. Returns the lines of all epochs so far."""
        progress = self.progress
        epoch, rate = progress.epoch, self._settings.rate_in(progress.epoch)
        self._listeners.epoch_begins(epoch, progress.tally)
        self._learn_all(rate)
        self._listeners.evaluates(progress.tally)
        tested = self._guarded.ask(self._evaluate)
        line = _line(epoch, progress.step, rate, progress.tally, tested)
        if self._probe is not None:
            line["probe"] = self._probe(self._guarded.learnt.weights)
        if progress.sample == self._samples:
            self._step_ms += progress.tally.step_ms
            progress.ends_epoch(line)
            self._resumable = self._guarded.learnt, progress.about()
        self._keep(line)
        self._listeners.epoch_ends(line)
        return progress.history if progress.history[-1:] == [line] else [*progress.history, line]

    def _learn_all(self, rate: float) -> None:
        """Trains what is left of the epoch's samples, from one snapshot to the next, or until asked to stop."""
        progress = self.progress
        while progress.sample < self._samples:
            snapshot, alignment = (
                self._next(self._settings.snapshot_every),
                self._next(self._plan.task.rule.align_every),
            )
            target = min(self._samples, snapshot, alignment)
            self._learn(target, rate)
            if progress.sample < target:  # asked to stop
                break
            if target < self._samples and self._keeper.due:
                self._keeper.keep(*self._resumable)

    def _next(self, every: int | None) -> int:
        """The first sample of the epoch from now on whose number is a multiple of `every`; the last one if it is 0."""
        every = every or self._samples
        return self.progress.sample // every * every + every

    def _learn(self, target: int, rate: float) -> None:
        """Trains the epoch's samples before number `target`, each exactly once, and takes a snapshot."""
        progress, coordinator = self.progress, self._coordinator
        epoch, first, step, before = progress.epoch, progress.sample, progress.step, progress.tally

        def work(pipeline: Pipeline) -> Tally:
            coordinator.go_on(pipeline, step)
            if first % (self._plan.task.rule.align_every or self._samples) == 0:
                coordinator.align(epoch)
            return coordinator.train(self._items.train(self._agenda, epoch, first, target), rate, before.copy())

        began = time.perf_counter()
        progress.tally = self._guarded.learn(work)
        progress.tally.seconds = before.seconds + time.perf_counter() - began  # snapshots and restarts are part of it
        progress.step = coordinator.step
        self._listeners.snapshot(progress)
        # with one sample in flight at a time, stopping anywhere changes no bits
        always_drained = self._plan.schedule.window == 1 or len(self._plan.task.rule.passes) == 1
        if progress.sample and (always_drained or progress.sample == target):
            self._resumable = self._guarded.learnt, progress.about()

    def _evaluate(self, pipeline: Pipeline) -> Tally:
        self._coordinator.go_on(pipeline, self.progress.step)
        return self._coordinator.test(self._items.test(self._agenda, self.progress.epoch))

    def _keep(self, line: Line) -> None:
        """Writes an epoch's checkpoint. If the epoch was stopped, also the last one that can be resumed from."""
        reported = {key: value for key, value in line.items() if key.startswith(("train_", "test_"))}
        (state, about), now = self._resumable, self.progress.about()
        if about["step"] == now["step"]:
            self._keeper.keep(state, about | reported)
        else:
            self._keeper.keep(state, about)
            self._keeper.keep(self._guarded.learnt, now | reported, resumable=False)


def _line(epoch: int, step: int, rate: float, trained: Tally, tested: Tally) -> Line:
    before, after = trained.rounded(), tested.rounded()
    return {
        "epoch": epoch,
        "step": step,
        "lr": rate,
        **{f"train_{name}": before[name] if trained.items else None for name in after},
        **{f"test_{name}": figure for name, figure in after.items()},
        "seconds": round(trained.seconds, 4),
        "items_per_second": round(trained.items / trained.seconds, 1) if trained.items else None,
        "step_ms": quantiles(trained.step_ms),
    }
