"""A prepared network onto an engine: cut into layers, split into stages, wired, guarded, run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import pipepita
from pipepita import schedule as schedules
from pipepita.data import Data
from pipepita.engines import registry
from pipepita.errors import UserError
from pipepita.network.cut import cut
from pipepita.network.layer import Layer
from pipepita.network.modules import describe
from pipepita.network.partition import balance
from pipepita.pipeline import optimizers
from pipepita.pipeline.emulation import paces
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import StageSpec, State
from pipepita.pipeline.wiring import Plan
from pipepita.rules import Pepita, Rule
from pipepita.rules.stability import stability_index
from pipepita.runs.display import Observer
from pipepita.runs.folder import RunFolder
from pipepita.runs.job import Options
from pipepita.runs.recovery import Guarded
from pipepita.runs.result import Result
from pipepita.runs.run import Progress, Run
from pipepita.runs.status import SECONDS, Status
from pipepita.runs.tensorboard import TensorBoard
from pipepita.schedule import Schedule
from pipepita.timeline import trace
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import coordinator_recorder

if TYPE_CHECKING:
    from pipepita.edge.deploy import Deployment

_RECORDED_SAMPLES = 2000  # some megabytes of trace; the latest


class Launch:
    """A run to be. model: an initialised copy, which holds the result. The rest is as in `training.train`.

    Raises `UserError` for what cannot be run so.
    """

    def __init__(
        self,
        model: nn.Sequential,
        data: Data,
        rule: Rule,
        settings: Options,
        engine: str | Engine,
        *,
        costs: Sequence[float] | None = None,
        observer: Observer,
        stop: Callable[[], bool],
        probe: Callable[[dict[str, Tensor]], dict[str, Any]] | None = None,
    ) -> None:
        self._model, self._data, self._rule, self._settings, self._engine = model, data, rule, settings, engine
        self._costs, self._observer, self._stop, self._probe = costs, observer, stop, probe
        self._layers = cut(model, data.item_shape, data.classes, settings.seed)
        self._schedule = schedules.make(settings.schedule, len(self._layers), settings.window, rule.flow)
        self._slowed = paces(settings.standard_ms, settings.modulated_ms, len(self._layers))
        self._batch = min(settings.batch_size, max(len(data.x_train), len(data.x_test)))
        if settings.tensorboard and settings.run_dir is None:
            raise UserError("tensorboard needs --run-dir, where its curves go")
        _warn_if_unstable(rule, self._layers, data, settings, self._schedule, observer)

    def run(
        self,
        began: float,
        folder: RunFolder | None,
        about: dict[str, Any],
        *,
        init: str = "he",
        progress: Progress | None = None,
        state: State | None = None,
        checkpoint: Path | None = None,
    ) -> Result:
        """The whole run, or from `progress` and `state` on, which are those of `checkpoint`.

        about: more entries for the summary. began: when the whole did. init: how the weights were drawn.
        """
        settings, data, observer = self._settings, self._data, self._observer
        with ExitStack() as cleanup:
            cleanup.callback(observer.end)
            at = progress or Progress()
            status = Status(settings.epochs, -(-len(data.x_train) // settings.batch_size), at.epoch, at.sample)
            if folder is not None:
                cleanup.callback(folder.release)
                if progress is not None:
                    status.add(folder)  # at once, since what is there is how the run ended before
            engine, stages, delays = self._stages(cleanup)
            status.stages(stages)
            summary = {**self._summary(engine, len(stages)), **about}
            if folder is not None:
                if progress is None:
                    folder.create(self._description(summary, init))
                    status.add(folder)
                if settings.tensorboard:
                    board = TensorBoard(folder.path / "tensorboard", progress.step if progress is not None else None)
                    cleanup.callback(board.close)
                    status.add(board)
            recorded = _RECORDED_SAMPLES if settings.trace or settings.timeline else 0
            plan = Plan(stages, self._schedule, self._batch, recorded, delays, watch=SECONDS)
            guarded = Guarded(
                engine, plan, max_restarts=settings.max_restarts, on_fault=status.lost,
                on_restart=lambda restart: run.restarted(restart), state=state, stop=self._stop,
            )  # fmt: skip
            cleanup.callback(guarded.close)
            recorder = coordinator_recorder(recorded)
            run = Run(
                self._model, data, self._rule, settings, self._schedule, guarded, folder, observer, self._stop, status,
                at, self._probe, recorder, checkpoint, kept_weights=init == "keep",
            )  # fmt: skip
            result = run.all_epochs(began, summary)
            if recorded:
                spans = guarded.ask(lambda pipeline: pipeline.timeline())
                found = Timeline(recorder.spans(), spans, self._rule.passes, self._rule.flow)
                _write_timeline(found, f"{self._schedule.name}, window {self._schedule.window}", settings)
            return result

    def _stages(self, cleanup: ExitStack) -> tuple[Engine, list[StageSpec], dict[tuple[int, int], Any]]:
        """The engine, opened here where it was named; the stages; and what emulated links there are."""
        settings, layers, engine = self._settings, self._layers, self._engine
        name = str(getattr(engine, "name", engine))
        chain = _chain(settings, self._rule, layers, self._data.classes, self._schedule, self._batch, name)
        count = settings.stages or (1 if name == "local" else len(layers))
        ranges = balance(_layer_costs(self._costs, layers), count) if chain is None else list(chain.parts)
        if isinstance(engine, str):
            self._observer.status("starting the engine")
            engine = registry.make(
                engine, len(ranges), device=settings.device, address=settings.address, placement=settings.placement
            )
            cleanup.callback(engine.close)
        stages = [
            StageSpec(
                index, [layers[i] for i in part], len(layers), self._data.classes, self._rule, settings.optimizer,
                settings.lr, settings.seed, device, settings.threads, [self._slowed[i] for i in part],
            )
            for index, (part, device) in enumerate(zip(ranges, engine.devices(len(ranges)), strict=True))
        ]  # fmt: skip
        return (engine, stages, {}) if chain is None else (engine, chain.slowed(stages), chain.delays())

    def _summary(self, engine: Engine, stages: int) -> dict[str, Any]:
        rule, settings = self._rule, self._settings
        return {
            "rule": rule.name,
            **{key: getattr(rule, key, None) for key in ("form", "modulate")},
            "normalize": any(isinstance(module, nn.RMSNorm) for module in self._model.modules()),
            "network": _in_words(self._layers),
            "dataset": self._data.name,
            "engine": engine.name,
            "schedule": self._schedule.name,
            "window": self._schedule.window,
            "stages": stages,
            "seed": settings.seed,
        }

    def _description(self, summary: dict[str, Any], init: str) -> dict[str, Any]:
        """All that the run can be built from again: its run.json."""
        return {
            **summary,
            "version": pipepita.__version__,
            "torch": torch.__version__,
            "model": describe(self._model),
            "item_shape": list(self._data.item_shape),
            "classes": self._data.classes,
            "data_sha256": self._data.fingerprint(),
            "init": init,
            "options": self._settings.model_copy(update=_absolute(self._settings)).model_dump(
                mode="json", exclude={"trace", "timeline"}
            ),
            "rule_options": vars(self._rule),
        }


def _absolute(settings: Options) -> dict[str, Path]:
    """Where `settings` are relative to a folder, so that a run can be resumed from any other."""
    return {} if settings.profiles is None else {"profiles": settings.profiles.absolute()}


def _write_timeline(recorded: Timeline, title: str, settings: Options) -> None:
    if settings.trace is not None:
        trace.write({title: recorded}, settings.trace)
    if settings.timeline is not None:
        from pipepita.timeline import gantt

        gantt.draw({title: recorded}, settings.timeline)


def _chain(
    settings: Options, rule: Rule, layers: list[Layer], classes: int, schedule: Schedule, batch: int, engine: str
) -> Deployment | None:
    """The devices to emulate, where there are any."""
    if settings.devices is None:
        for name in ("link", "assign", "trouble", "profiles"):
            if getattr(settings, name) is not None:
                raise UserError(f"{name} {str(getattr(settings, name))!r} needs --devices, the chain that it is about")
        return None
    for name in ("stages", "standard_ms", "modulated_ms"):
        if getattr(settings, name) is not None:
            raise UserError(f"{name} {getattr(settings, name)!r}: with --devices the devices say so")
    if engine != "ray":
        raise UserError(f"devices {settings.devices!r} run in real time on --engine ray, not {engine}; or: simulate")
    from pipepita.edge.deploy import deployed

    whole = StageSpec(0, layers, len(layers), classes, rule, settings.optimizer, settings.lr, settings.seed)
    return deployed(settings, whole, schedule, batch)


def _layer_costs(given: Sequence[float] | None, layers: list[Layer]) -> list[float]:
    """What each layer costs: as given, or its multiplications."""
    if given is None:
        return [layer.cost for layer in layers]
    costs = [float(cost) for cost in given]
    if len(costs) != len(layers) or not all(0 <= cost < math.inf for cost in costs):
        raise UserError(f"costs {costs} are not {len(layers)} finite numbers of at least 0, one a layer")
    return costs


def _in_words(layers: list[Layer]) -> str:
    """The network as `in-hidden-...-out` widths: "784-1024-10"."""
    sizes = [layers[0].width, *(torch.Size(layer.out_shape).numel() for layer in layers)]
    return "-".join(map(str, sizes))


def _warn_if_unstable(
    rule: Rule, layers: list[Layer], data: Data, settings: Options, schedule: Schedule, observer: Observer
) -> None:
    if not (isinstance(rule, Pepita) and rule.form == "textbook") or schedule.window == 1:
        return
    name, options = optimizers.parse(settings.optimizer)
    momentum = float(options.get("momentum", 0.0)) if name == "sgd" else 0.0
    with torch.inference_mode():
        x = layers[0].arrive(data.x_train[:1024])
    index = stability_index(layers[0].synapse.module, x, settings.lr, momentum, schedule.window)
    if index > 1:
        observer.warn(
            f"textbook form with {schedule.window} samples in flight: stability index {index:.3g} is above 1, so the "
            "run will probably diverge; use form difference, a lower lr, or a smaller window"
        )
