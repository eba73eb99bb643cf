"""Brings a prepared network onto an engine: cuts it into layers, splits them into stages, wires them, and runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipepita.data import Data
from pipepita.data.agenda import Agenda
from pipepita.errors import Diverged, RunError, UserError
from pipepita.network.layer import Layer
from pipepita.network.modules import NORM, leaves, role
from pipepita.network.norms import check_batches
from pipepita.network.partition import AUTO, in_words
from pipepita.pipeline import optimizers
from pipepita.pipeline.wiring import Plan
from pipepita.rules import Rule, options_of, reference, text_of
from pipepita.rules.conditions import Conditions
from pipepita.runs.advice import DivergenceWarning, advice
from pipepita.runs.listeners import Listener, Listeners
from pipepita.runs.options.job import Options
from pipepita.runs.options.settled import settle
from pipepita.runs.place import Where
from pipepita.runs.progress import Progress, Resumption
from pipepita.runs.recovery import Guarded
from pipepita.runs.result import Result
from pipepita.runs.run import Probe, Run
from pipepita.runs.store import recording
from pipepita.runs.store.folder import FolderListener, RunFolder
from pipepita.runs.store.keeper import Keeper
from pipepita.runs.store.saved import description
from pipepita.runs.store.status import StatusListener
from pipepita.runs.store.tensorboard import TensorBoard

_LOOKED_AT = 10_000  # labels
_FAR = 10.0


@dataclass(frozen=True)
class Watch:
    """What the caller watches a run with.

    Attributes:
        observer: Told how the run goes.
        stop: Asked before each sample; if it says true, the run ends there.
        probe: Called with the weights after each epoch.
    """

    observer: Listener
    stop: Callable[[], bool] = lambda: False
    probe: Probe | None = None


class Launch:
    """Prepares a run. model: an initialised copy of the caller's, which gets the result.

    Raises `UserError` if the model, the data, the rule and the settings do not go together.
    """

    def __init__(
        self, model: nn.Sequential, data: Data, rule: Rule, settings: Options, where: Where, watch: Watch
    ) -> None:
        self._model, self._data, self._where, self._watch = model, data, where, watch
        settled = settle(model, data.item_shape, data.classes, rule, settings, regression=data.regression)
        self._task, self._schedule = settled.task, settled.schedule
        settings = self._settings = settled.settings
        if settings.tensorboard and settings.run_dir is None:
            raise UserError("tensorboard needs --run-dir, the folder for its curves")
        items = data.items
        check_batches(leaves(model), items.train_items, settings.batch_size)
        self._batch = min(settings.batch_size, max(items.train_items, items.test_items))
        if settings.augmentation is not None:
            settings.augmentation.check(data.item_shape, data.name)
        self._agenda = Agenda(
            items.train_items, items.test_items, settings.batch_size, settings.seed, settings.epochs,
            settings.augmentation,
        )  # fmt: skip
        if words := self._task.rule.warning(self._conditions()):
            watch.observer.warn(words)

    def run(
        self,
        folder: RunFolder | None,
        about: dict[str, Any],
        init: str,
        resumption: Resumption | None = None,
        *,
        began: float,
    ) -> Result:
        """Runs all of it, or what is left from `resumption` on.

        about: more entries for the summary. init: how the weights were drawn. began: when the caller began, in seconds
        of `time.perf_counter`.
        """
        settings, task = self._settings, self._task
        fresh, start = resumption is None, resumption or Resumption(Progress())
        listeners = Listeners([self._watch.observer])
        status = StatusListener(settings.epochs, self._agenda.samples, start.progress)
        with ExitStack() as cleanup:
            cleanup.callback(listeners.end)
            # read while the engine starts
            self._data.items.expect(self._agenda, start.progress.epoch, start.progress.sample)
            if folder is not None and not fresh:
                # at once, because status.json still says how the run ended before
                self._write_into(folder, listeners, status, start.progress.step)
            engine, plan = self._where.plan(
                task, settings, self._schedule, self._batch, listeners, cleanup, self._watch.stop
            )
            settings = self._written_down(plan, folder if not fresh else None)
            summary = {**self._summary(engine.name, len(plan.stages)), **about}
            if folder is not None and fresh:
                folder.create({**summary, **description(self._model, self._data, self._task.rule, settings, init)})
                self._write_into(folder, listeners, status)
            summary["run_dir"] = str(folder.path) if folder else None
            listeners.add(status)
            if task.regression:
                self._look_at_numbers()
            else:
                listeners.add(DivergenceWarning(self._watch.observer, self._data.classes, self._advice()))
            guarded = Guarded(
                engine, plan, max_restarts=settings.max_restarts, listener=listeners, state=start.state,
                stop=self._watch.stop,
            )  # fmt: skip
            cleanup.callback(guarded.close)
            status.watch(plan.stages, guarded.pulses)
            keeper = Keeper(folder, task, settings, start.checkpoint, start.progress.step)
            with _failures_explained(listeners, keeper, start.progress, self._advice()):
                guarded.open()
                run = Run(
                    guarded, self._data.items, self._agenda, settings, start.progress, keeper, listeners,
                    self._watch.probe,
                )  # fmt: skip
                if start.progress.step == 0:
                    run.keep_first()
                lines = run.all_epochs(summary)
                summary |= run.figures(lines, began)
                if folder is not None:
                    folder.result(summary)
            self._model.load_state_dict(run.weights)
            listeners.finished("interrupted" if run.interrupted else "done")
            recording.draw(guarded, run.recorder, self._schedule, self._task.rule, self._settings, listeners)
            return Result(self._model, summary, lines, interrupted=run.interrupted)

    def _written_down(self, plan: Plan, resumed: RunFolder | None) -> Options:
        """The settings with the stages that were chosen. resumed: the folder that has been written already."""
        if self._settings.stages == AUTO:
            chosen = in_words(plan.stages[0].parts)
            self._settings = self._settings.model_copy(update={"stages": chosen})
            if resumed is not None:
                resumed.event("stages", changes={"stages": chosen})
        return self._settings

    def _write_into(
        self, folder: RunFolder, listeners: Listeners, status: StatusListener, step: int | None = None
    ) -> None:
        """Has everything that happens from now on written into the run's folder. step: where a resumed run goes on."""
        if self._settings.tensorboard:
            board = TensorBoard(folder.path / "tensorboard", step)
            status.add(board)
            listeners.add(board)
        listeners.add(FolderListener(folder, step or 0))
        status.add(folder)

    def _summary(self, engine: str, stages: int) -> dict[str, Any]:
        rule, settings = self._task.rule, self._settings
        return {
            "rule": reference(rule),
            "rule_options": options_of(rule),
            "rule_text": text_of(rule),
            "normalize": self._normalized,
            "dropout": self._dropout,
            "network": _in_words(self._task.layers),
            "dataset": self._data.name,
            **({"validation": settings.validation} if settings.validation else {}),
            "engine": engine,
            "schedule": self._schedule.name,
            "window": self._schedule.window,
            "look_ahead": settings.look_ahead,
            "stages": stages,
            "lr": settings.lr,
            "optimizer": settings.optimizer,
            "seed": settings.seed,
        }

    @property
    def _normalized(self) -> bool:
        return any(role(module, name) == NORM for name, module in leaves(self._model))

    @property
    def _dropout(self) -> float:
        """The largest share that a module drops."""
        return max((module.p for _, module in leaves(self._model) if isinstance(module, nn.Dropout)), default=0.0)

    def _advice(self) -> str:
        """What to change if the run diverges."""
        return advice(
            self._task.rule, len(self._task.layers), normalized=self._normalized, lr=self._settings.learning_rate,
            window=self._schedule.window,
        )  # fmt: skip

    def _look_at_numbers(self) -> None:
        """Warns if the labels are of a size at which rates that suit classes are far too high, or too low."""
        y = self._data.items.some(_LOOKED_AT)[1].double()
        if y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all()) and bool((y.sum(1) == 1).all()):
            self._watch.observer.warn(
                "the labels look like one-hot classes, and are learnt as numbers: to learn classes, pass y.argmax(1)"
            )
            return
        mean, spread = float(y.mean(0).abs().max()), y.std(0)
        if len(y) > 1 and (mean > _FAR or float(spread.max()) > _FAR or float(spread.min()) < 1 / _FAR):
            self._watch.observer.warn(
                f"the labels have a mean of up to {mean:.3g} and a standard deviation of {float(spread.min()):.3g} to "
                f"{float(spread.max()):.3g}: rules learn best from numbers with mean 0 and standard deviation 1"
            )

    def _conditions(self) -> Conditions:
        task, settings = self._task, self._settings

        def items(count: int) -> Tensor:
            with torch.inference_mode():
                return task.layers[0].arrive(self._data.items.some(count)[0])

        return Conditions(
            task.layers, task.classes, self._schedule.window, task.lr, optimizers.momentum(settings.updater), items
        )


@contextmanager
def _failures_explained(listeners: Listener, keeper: Keeper, progress: Progress, advice: str) -> Iterator[None]:
    """If the run fails, its error also says in which epoch and which checkpoint is left. The listeners are told.

    advice: what to change if it diverged.
    """
    try:
        yield
    except RunError as error:
        change = f"; try {advice}" if isinstance(error, Diverged) else ""
        failure = error.saying(f"{error}{change} (epoch {progress.epoch}; {keeper.words()})")
        listeners.finished("failed", str(failure))
        raise failure from None
    except KeyboardInterrupt:
        listeners.finished("interrupted")
        raise


def _in_words(layers: Sequence[Layer]) -> str:
    """The network as the widths of its input and its layers: "784-1024-10"."""
    sizes = [layers[0].width, *(torch.Size(layer.out_shape).numel() for layer in layers)]
    return "-".join(map(str, sizes))
