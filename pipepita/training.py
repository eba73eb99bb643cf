"""`train`: the whole path from a model and data to a result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import pipepita
from pipepita import checkpoint, optimizers
from pipepita import schedule as schedules
from pipepita.coordinator import Coordinator, Tally
from pipepita.data import Data, load
from pipepita.display import Observer
from pipepita.emulation import paces
from pipepita.engines import registry
from pipepita.engines.engine import Engine, Pipeline
from pipepita.engines.wiring import Plan
from pipepita.errors import Diverged, UserError, unknown
from pipepita.job import Options, checked
from pipepita.layers.layer import Layer
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.modules import children, describe, rebuild
from pipepita.partition import balance
from pipepita.result import Result, quantiles
from pipepita.rules import Pepita, Rule
from pipepita.schedule import Schedule
from pipepita.stability import stability_index
from pipepita.stage import StageSpec
from pipepita.timeline import trace
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import coordinator_recorder

if TYPE_CHECKING:
    from pipepita.edge.deploy import Deployment

_RECORDED_SAMPLES = 2000  # some megabytes of trace; the latest


def train(
    model: nn.Sequential,
    data: Data | str,
    *,
    rule: Rule | None = None,
    engine: str | Engine = "ray",
    normalize: bool = False,
    init: str = "he",
    costs: Sequence[float] | None = None,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
    probe: Callable[[dict[str, Tensor]], dict[str, Any]] | None = None,
    about: dict[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Trains `model` in place and returns it with what happened.

    model: an `nn.Sequential` whose last module is the output `nn.Linear`. data: a `Data`, or a name that `load` knows.
    rule: `Pepita()` by default. engine: "ray", "local", or an open engine, which is then kept open.
    normalize: put a parameterless `nn.RMSNorm` behind each hidden activation that has none, in `model` too.
    init: "he" draws He-uniform weights from the seed, as the paper does; "keep" goes on from the model's own weights.
    costs: seconds (or any unit) a layer, for balancing stages; by default multiplications are counted.
    observer: told of progress. stop: asked before each sample; true ends the run there, with a checkpoint.
    probe: called with the weights after each epoch; what it returns is the epoch's "probe" in `Result.history`.
    about: more entries for the summary. options: the fields of `Options`: schedule, window, stages, optimizer, lr,
    lr_decay, batch_size, epochs, seed, device, address, threads, standard_ms, modulated_ms, trace, timeline, run_dir.
    Without the last three nothing is written.

    Raises `UserError` for what cannot be trained so, `Diverged` when a weight or an output stops being finite,
    `StageDied` when an actor does. The model is changed only by a run that ends well or is stopped.
    """
    began = time.perf_counter()
    settings: Options = checked(Options, options)
    rule, observer = rule or Pepita(), observer or Observer()
    data = load(data) if isinstance(data, str) else data
    _check_kinds(data, rule, engine, stop)
    if init not in ("he", "keep"):
        raise unknown("init", init, ("he", "keep"))
    folder = checkpoint.RunFolder(settings.run_dir) if settings.run_dir is not None else None
    cut(model, data.item_shape, data.classes)  # the caller's own, which shows more than a rebuilt one
    # From here on a rebuilt copy: bad input must not touch the model, and neither must a run that fails.
    work = rebuild(describe(model))
    if init == "keep":
        work.load_state_dict(model.state_dict())
    if normalize:
        spec.normalized(work, data.item_shape)
    if init == "he":
        spec.initialise(work, settings.seed)
    layers = cut(work, data.item_shape, data.classes, settings.seed)
    schedule = schedules.make(settings.schedule, len(layers), settings.window, rule.flow)
    slowed = paces(settings.standard_ms, settings.modulated_ms, len(layers))
    _warn_if_unstable(rule, layers, data, settings, schedule, observer)

    with ExitStack() as cleanup:
        cleanup.callback(observer.end)
        batch = min(settings.batch_size, max(len(data.x_train), len(data.x_test)))
        chain = _chain(settings, rule, layers, data.classes, schedule, batch, str(getattr(engine, "name", engine)))
        count = settings.stages or (1 if getattr(engine, "name", engine) == "local" else len(layers))
        ranges = balance(_costs(costs, layers), count) if chain is None else list(chain.parts)
        count = len(ranges)
        if isinstance(engine, str):
            observer.status("starting the engine")
            engine = registry.make(engine, count, device=settings.device, address=settings.address)
            cleanup.callback(engine.close)
        stages = [
            StageSpec(
                index, [layers[i] for i in part], len(layers), data.classes, rule, settings.optimizer, settings.lr,
                settings.seed, device, settings.threads, [slowed[i] for i in part],
            )
            for index, (part, device) in enumerate(zip(ranges, engine.devices(count), strict=True))
        ]  # fmt: skip
        stages = stages if chain is None else chain.slowed(stages)
        recorded = _RECORDED_SAMPLES if settings.trace or settings.timeline else 0
        pipeline = engine.open(Plan(stages, schedule, batch, recorded, {} if chain is None else chain.delays()))
        cleanup.callback(pipeline.close)
        summary = {
            "rule": rule.name,
            **{key: getattr(rule, key, None) for key in ("form", "modulate")},
            "normalize": any(isinstance(module, nn.RMSNorm) for module in work.modules()),
            "network": _in_words(layers),
            "dataset": data.name,
            "engine": engine.name,
            "schedule": schedule.name,
            "window": schedule.window,
            "stages": count,
            "seed": settings.seed,
            **(about or {}),
        }
        run = _Run(work, data, rule, settings, schedule, pipeline, folder, observer, stop, summary)
        run.probe = probe
        run.coordinator.recorder = coordinator_recorder(recorded)
        result = run.all_epochs(began)
        if recorded:
            recorded_run = Timeline(run.coordinator.recorder.spans(), pipeline.timeline(), rule.passes, rule.flow)
            _write_timeline(recorded_run, f"{schedule.name}, window {schedule.window}", settings)
    _give_back(model, work, normalize)
    result.model = model
    return result


def _write_timeline(recorded: Timeline, title: str, settings: Options) -> None:
    if settings.trace is not None:
        trace.write({title: recorded}, settings.trace)
    if settings.timeline is not None:
        from pipepita.timeline import gantt

        gantt.draw({title: recorded}, settings.timeline)


def _check_kinds(data: object, rule: object, engine: object, stop: object) -> None:
    """`UserError` for an argument that is not of the kind that `train` takes."""
    if not isinstance(data, Data):
        raise UserError(f"data is {type(data).__name__}: pass a pipepita.Data, or the name of a data set")
    if isinstance(rule, type) or not hasattr(rule, "learner"):
        raise UserError(f"rule is {rule!r}: pass a rule, like pipepita.Pepita()")
    if isinstance(engine, type) or not (isinstance(engine, str) or hasattr(engine, "open")):
        raise UserError(f"engine is {engine!r}: pass 'ray', 'local', or an open engine")
    if not callable(stop):
        raise UserError(f"stop is {stop!r}: pass a function that says whether to stop")


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


def _costs(given: Sequence[float] | None, layers: list[Layer]) -> list[float]:
    """What each layer costs: as given, or its multiplications."""
    if given is None:
        return [layer.cost for layer in layers]
    costs = [float(cost) for cost in given]
    if len(costs) != len(layers) or not all(0 <= cost < math.inf for cost in costs):
        raise UserError(f"costs {costs} are not {len(layers)} finite numbers of at least 0, one a layer")
    return costs


class _Run:
    """The epochs of one run: train, evaluate, record."""

    def __init__(
        self,
        model: nn.Sequential,
        data: Data,
        rule: Rule,
        settings: Options,
        schedule: Schedule,
        pipeline: Pipeline,
        folder: checkpoint.RunFolder | None,
        observer: Observer,
        stop: Callable[[], bool],
        summary: dict[str, Any],
    ) -> None:
        self.model, self.data, self.settings, self.pipeline = model, data, settings, pipeline
        self.folder, self.observer, self.stop, self.summary = folder, observer, stop, summary
        self.coordinator = Coordinator(
            pipeline, schedule, rule.passes,
            batch_size=settings.batch_size, seed=settings.seed, stop=stop, on_sample=observer.sample,
        )  # fmt: skip
        self.probe: Callable[[dict[str, Tensor]], dict[str, Any]] | None = None
        self.history: list[dict[str, Any]] = []
        self.step_ms: list[float] = []
        self.items, self.seconds = 0, 0.0
        self.last_checkpoint: Path | None = None
        if folder is not None:
            folder.create(
                {
                    **summary,
                    "version": pipepita.__version__,
                    "model": describe(model),
                    "item_shape": list(data.item_shape),
                    "classes": data.classes,
                    "options": settings.model_dump(mode="json"),
                    "rule_options": vars(rule),
                }
            )

    def all_epochs(self, began: float) -> Result:
        samples = -(-len(self.data.x_train) // self.settings.batch_size)
        self.observer.begin(self.settings.epochs, samples, self.summary)
        for epoch in range(1, self.settings.epochs + 1):
            self._epoch(epoch)
            if self.stop():
                break
        self.observer.end()
        weights, _ = self.pipeline.state()
        self.model.load_state_dict(weights)
        last = self.history[-1]
        self.summary |= {
            "epochs": len(self.history),
            "steps": self.coordinator.step,
            "items": self.items,
            "test_accuracy": last["test_accuracy"],
            "train_loss": last["train_loss"],
            "wall_seconds": round(time.perf_counter() - began, 3),
            "items_per_second": round(self.items / self.seconds, 1) if self.seconds else None,
            "step_ms": quantiles(self.step_ms),
            "weights_sha256": checkpoint.weights_sha256(self.model.state_dict()),
            "run_dir": str(self.folder.path) if self.folder else None,
        }
        if self.folder is not None:
            self.folder.result(self.summary)
        whole = self.settings.epochs * samples
        return Result(self.model, self.summary, self.history, interrupted=self.coordinator.step < whole)

    def _epoch(self, epoch: int) -> None:
        data, rate = self.data, self.settings.rate_in(epoch)
        self.observer.epoch_begins(epoch)
        try:
            trained = self.coordinator.train_epoch(data.x_train, data.y_train, epoch, rate)
        except Diverged as error:
            kept = (
                f"the last good checkpoint is {self.last_checkpoint}"
                if self.last_checkpoint
                else "no checkpoint was kept"
            )
            raise Diverged(f"{error} (epoch {epoch}; {kept})") from None
        tested = self.coordinator.evaluate(data.x_test, data.y_test)
        self.items, self.seconds = self.items + trained.items, self.seconds + trained.seconds
        self.step_ms += trained.step_ms
        line = _line(epoch, self.coordinator.step, rate, trained, tested)
        self.history.append(line)
        weights, optimizer = self.pipeline.state() if self.folder is not None or self.probe is not None else ({}, {})
        if self.probe is not None:
            line["probe"] = self.probe(weights)
        if self.folder is not None:
            about = {"epoch": epoch, "weights_sha256": checkpoint.weights_sha256(_ordered(self.model, weights)), **line}
            self.last_checkpoint = self.folder.checkpoint(self.coordinator.step, weights, optimizer, about)
            self.folder.metrics(line)
        self.observer.epoch_ends(line)


def _line(epoch: int, step: int, rate: float, trained: Tally, tested: Tally) -> dict[str, Any]:
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


def _ordered(model: nn.Sequential, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: weights[key] for key in model.state_dict()}


def _in_words(layers: list[Layer]) -> str:
    """The network as `in-hidden-...-out` widths: "784-1024-10"."""
    sizes = [layers[0].width, *(torch.Size(layer.out_shape).numel() for layer in layers)]
    return "-".join(map(str, sizes))


def _give_back(model: nn.Sequential, work: nn.Sequential, normalize: bool) -> None:
    """Puts what was trained into the caller's model."""
    if normalize:
        own = dict(children(model))
        for name in own:
            delattr(model, name)
        for name, module in children(work):
            model.add_module(name, own.get(name, module))
    model.load_state_dict(work.state_dict())


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
