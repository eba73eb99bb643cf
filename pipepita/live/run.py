"""An online run: what arrives is predicted, learnt from once its label is known, and a snapshot is taken now and then.

source --thread--> inbox --> feed --> kept --> coordinator --> pipeline
                               |                                  |
          predictions <--------+----------------- outputs --------+
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from pipepita.errors import Diverged, PipepitaError, RunError
from pipepita.live.beginning import Beginning, Desk, Net
from pipepita.live.feed import Feed
from pipepita.live.kept import Kept
from pipepita.live.source import Source
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.tally import Tally
from pipepita.rules import options_of, reference
from pipepita.runs.advice import advice
from pipepita.runs.listeners import Listener, Listeners
from pipepita.runs.options.settled import Settled
from pipepita.runs.place import Where
from pipepita.runs.progress import Progress
from pipepita.runs.recovery import Guarded
from pipepita.runs.store import recording
from pipepita.runs.store.checkpoint import weights_sha256
from pipepita.runs.store.folder import FolderListener, RunFolder
from pipepita.runs.store.keeper import Keeper
from pipepita.runs.store.status import StatusListener
from pipepita.runs.store.tensorboard import TensorBoard
from pipepita.schedule.decisions import Order
from pipepita.timeline.recorder import Recorder, coordinator_recorder

_METRICS_SECONDS = 10.0
_END_SECONDS = 1.0
_MOST_LINES = 100_000
_REMEMBERED = 100  # times of the latest samples, from which the status takes their rate


class Online:
    """One online run.

    Args:
        net: What learns.
        settled: The task, the schedule and the settings.
        where: The engine.
        desk: Where items wait and results go.
        observer: Told how the run goes.
        stop: Asked all the time; if it says true, what has arrived is still learnt from, and then the run ends.
    """

    def __init__(
        self, net: Net, settled: Settled, where: Where, desk: Desk, observer: Listener, stop: Callable[[], bool]
    ) -> None:
        self._net, self._settled, self._where, self._desk = net, settled, where, desk
        self._listeners, self._stop = Listeners([observer]), stop
        self._failure: PipepitaError | None = None
        self._folder: RunFolder | None = None
        self._snapshot_at = self._metrics_at = time.monotonic()
        self._step = self._kept_position = 0
        self._reads: Feed | None = None

    def run(self, source: Source, folder: RunFolder | None, about: dict[str, Any], begin: Beginning) -> dict[str, Any]:
        """Learns until the source ends. Returns the summary.

        folder: a new or reopened run folder. about: more for its run.json. begin: where the run begins.

        Raises:
            UserError: An option of the engine is wrong, or an item of a stream is.
            Diverged: A weight or an output stopped being finite. The message says what to change.
            RunError: The source, or a stage more often than `max_restarts` allows, was lost; or a file cannot be
                written.
        """
        start = begin.resumption
        task, schedule, settings = self._settled.task, self._settled.schedule, self._settled.settings
        listeners = self._listeners
        self._step = start.progress.step
        with ExitStack() as cleanup:
            cleanup.callback(listeners.end)
            engine, plan = self._where.plan(
                task, settings, schedule, settings.batch_size, listeners, cleanup, self._stop
            )
            summary = {**self._summary(engine.name, len(plan.stages)), **about}
            status = StatusListener(1, None, start.progress)
            if folder is not None:
                if start.state is None and not folder.path.exists():
                    folder.create(summary)
                self._write_into(folder, status, cleanup)
            listeners.add(status)
            guarded = Guarded(
                engine, plan, max_restarts=settings.max_restarts, listener=listeners, state=start.state,
                stop=self._stop,
            )  # fmt: skip
            cleanup.callback(guarded.close)
            keeper = Keeper(folder, task, settings, start.checkpoint, self._step)
            recorder = coordinator_recorder(plan.record)
            guarded.open()
            status.watch(plan.stages, guarded.pulses)
            thread = threading.Thread(target=self._feed, args=(source,), daemon=True, name="pipepita source")
            cleanup.callback(self._end_source, source, thread)
            thread.start()
            try:
                self._learn(guarded, keeper, begin, recorder)
                if self._failure is not None:
                    raise self._failure
            except PipepitaError as error:
                listeners.finished("failed", str(error))
                change = f"; try {self._advice(schedule.window)}" if isinstance(error, Diverged) else ""
                raise error.saying(f"{error}{change} ({keeper.words()})") from None
            except KeyboardInterrupt:
                listeners.finished("interrupted")
                raise
            summary |= self._figures(guarded)
            if folder is not None:
                folder.result(summary)
            listeners.finished("interrupted" if self._stop() else "done")
            recording.draw(guarded, recorder, schedule, task.rule, settings, listeners)
            return summary

    def _write_into(self, folder: RunFolder, status: StatusListener, cleanup: ExitStack) -> None:
        """Lets everything that belongs into the run's folder be written there."""
        self._folder = folder
        if self._desk.record is not None:
            self._desk.record.open(folder.path, self._desk.inbox)
            cleanup.callback(self._desk.record.close)
        self._listeners.add(FolderListener(folder, self._step))
        status.add(folder)
        if self._settled.settings.tensorboard:
            board = TensorBoard(folder.path / "tensorboard", self._step or None)
            status.add(board)
            self._listeners.add(board)

    def _figures(self, guarded: Guarded) -> dict[str, Any]:
        """What the summary says of a run that has ended; its weights go into the model."""
        weights = self._settled.task.weights(guarded.learnt)
        self._net.model.load_state_dict(weights)
        return self._desk.counts.figures(self._desk.inbox.dropped) | {
            "steps": self._step,
            "restarts": guarded.restarts,
            "weights_sha256": weights_sha256(weights),
            "run_dir": str(self._folder.path) if self._folder else None,
        }

    def _learn(self, guarded: Guarded, keeper: Keeper, begin: Beginning, recorder: Recorder) -> None:
        """From one snapshot to the next, until the source ends."""
        settings, desk = self._settled.settings, self._desk
        feed = self._reads = Feed(
            desk.inbox, settings.batch_size, desk.unlabelled, desk.counts, desk.publish, desk.read,
            begin.resumption.progress.items, begin.position, desk.targets,
        )  # fmt: skip
        feed.wait_for(begin.waiting)
        order, tally = Order(begin.decided), begin.resumption.progress.tally
        kept = Kept(feed, lambda samples: self._due(samples, order))
        coordinator = Coordinator(
            guarded.pipeline, self._settled.schedule, self._settled.task.rule.passes,
            batch_size=settings.batch_size, seed=settings.seed, on_sample=self._listeners.sample,
            recorder=recorder,
        )  # fmt: skip
        self._listeners.epoch_begins(1, tally)
        self._kept_position = feed.position
        self._snapshot_at = self._metrics_at = time.monotonic()
        while not kept.ended and self._left() > 0:
            first, before = self._step, tally

            def work(pipeline: Pipeline, first: int = first, before: Tally = before) -> Tally:
                coordinator.go_on(pipeline, first)
                if first == 0:
                    coordinator.align(1)
                kept.again()
                order.again()
                return coordinator.train(kept, settings.learning_rate, before.copy(), order)

            tally = guarded.learn(work)
            del tally.completed[:-_REMEMBERED]
            self._step, self._snapshot_at = coordinator.step, time.monotonic()
            kept.mark()
            decided = order.mark()
            if self._folder is not None:
                self._folder.order(decided, first)
            self._tell(final=kept.ended)
            if keeper.due or kept.ended or self._left() <= 0 or self._crowded():
                self._kept_position = feed.position
                progress = Progress(step=self._step, tally=tally, items=feed.number)
                state = feed.state()
                about = {"labels": desk.names(), "published": begin.published + desk.counts.predicted, **state}
                if keeper.keep(guarded.learnt, progress.about() | about) and desk.record is not None:
                    desk.record.checkpoint(state)

    def _left(self) -> float:
        """How many samples may still be learnt from."""
        return float("inf") if self._desk.limit is None else self._desk.limit - self._step

    def _crowded(self) -> bool:
        """Whether so many lines have come since the last checkpoint that their journal is to begin anew.

        They may all be of no use.
        """
        assert self._reads is not None
        return self._reads.position - self._kept_position >= _MOST_LINES

    def _due(self, samples: int, order: Order) -> bool:
        """Whether it is time for a snapshot, so many samples after the last one. It is asked all the time."""
        if self._stop():
            self._desk.inbox.close()
            self._desk.inbox.end()
        self._tell()
        settings = self._settled.settings
        if samples >= self._left():
            return True
        if not order.may_pause:
            return False
        if samples >= (settings.snapshot_every or 1000) or self._crowded():
            return True
        return samples > 0 and time.monotonic() - self._snapshot_at >= settings.checkpoint_every > 0

    def _tell(self, *, final: bool = False) -> None:
        """Every ten seconds, and at the end: how it goes."""
        now = time.monotonic()
        counts = self._desk.counts
        for item in counts.alarms:
            self._listeners.warn(f"the detector found a drift at item {item}")
        counts.alarms.clear()
        if not final and now - self._metrics_at < _METRICS_SECONDS:
            return
        self._metrics_at = now
        figures = counts.figures(self._desk.inbox.dropped)
        self._listeners.epoch_ends({"step": self._step, **figures})

    def _feed(self, source: Source) -> None:
        """The source's thread."""
        try:
            source.feed(self._desk.inbox)
        except PipepitaError as error:
            self._failure = error
        except Exception as error:
            self._failure = RunError(f"the source failed: {type(error).__name__}: {error}")
        finally:
            self._desk.inbox.end()

    def _end_source(self, source: Source, thread: threading.Thread) -> None:
        """Ends the source's thread. One that waits for standard input cannot be woken up, and ends with the process."""
        self._desk.inbox.close()
        source.close()
        thread.join(_END_SECONDS)

    def _advice(self, window: int) -> str:
        """What to change if the run diverges. (Whether the network is normalized is left to its options.)"""
        task, rate = self._settled.task, self._settled.settings.learning_rate
        return advice(task.rule, len(task.layers), normalized=True, lr=rate, window=window)

    def _summary(self, engine: str, stages: int) -> dict[str, Any]:
        task, schedule = self._settled.task, self._settled.schedule
        return {
            "rule": reference(task.rule),
            "rule_options": options_of(task.rule),
            "engine": engine,
            "schedule": schedule.name,
            "window": schedule.window,
            "look_ahead": self._settled.settings.look_ahead,
            "stages": stages,
            "lr": task.lr,
            "optimizer": task.optimizer,
            "seed": task.seed,
        }
