"""`python -m bench.staleness`: MNIST test accuracy against samples in flight, and the time until it is reached.

Three tables: the four forms of the modulated pass over windows, with one hidden layer; eight hidden layers, with the
error at the input or at all layers; samples and seconds until a given accuracy, schedule by schedule.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

import pipepita as pp
from bench.common import note
from pipepita import schedule as schedules
from pipepita.coordinator import Tally
from pipepita.data.sets import DATA_DIR_VARIABLE
from pipepita.display import Observer
from pipepita.engines.engine import Engine, Pipeline
from pipepita.engines.wiring import Plan
from pipepita.network.cut import cut
from pipepita.stability import stability_index

BATCH, MOMENTUM, DROPOUT = 64, 0.9, 0.1
FORMS = ("textbook", "stash", "recompute", "difference")
SHALLOW, DEEP = "fc:1024", "fc:256x8"
LR, DEEP_INPUT_LR = 0.1, 0.03
STREAMING_WINDOW, STAGES = 5, 2


@dataclass(frozen=True)
class Scale:
    """How much is run. every: samples between two evaluations on the way to `target` percent."""

    seeds: tuple[int, ...] = (0, 1, 2)
    items: int = 60_000
    epochs: int = 2
    windows: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    deep_windows: tuple[int, ...] = (1, 5, 9)
    every: int = 50
    target: float = 92.0


QUICK = Scale(seeds=(0,), items=6_400, windows=(1, 4, 16), deep_windows=(1, 5), every=20, target=50.0)


@dataclass
class Accuracies:
    """Test accuracies, one a seed that ended, and how many ended as `pp.Diverged` instead."""

    values: list[float] = field(default_factory=list)
    diverged: int = 0

    def __str__(self) -> str:
        gone = f"{self.diverged} diverged" if self.diverged else ""
        if not self.values:
            return gone
        spread = f" ± {statistics.stdev(self.values):.2f}" if len(self.values) > 1 else ""
        return f"{statistics.mean(self.values):.2f}{spread}" + (f" ({gone})" if gone else "")


class _Silent(Observer):
    """The warning of the textbook form is what the first table is about."""

    def warn(self, text: str) -> None:
        pass


def _data(items: int) -> pp.Data:
    try:
        mnist = pp.load("mnist")
    except pp.UserError as error:
        raise SystemExit(f"error: set {DATA_DIR_VARIABLE} to a folder with torchvision's MNIST ({error})") from None
    return replace(mnist, x_train=mnist.x_train[:items], y_train=mnist.y_train[:items])


def _accuracies(
    data: pp.Data, scale: Scale, network: str, rule: pp.Pepita, lr: float, window: int, normalize: bool = False
) -> Accuracies:
    """One run a seed, in process."""
    found = Accuracies()
    for seed in scale.seeds:
        model = pp.build(network, data.item_shape, data.classes, dropout=DROPOUT, normal=normalize)
        try:
            result = pp.train(
                model, data, rule=rule, engine="local", device="cpu", observer=_Silent(), epochs=scale.epochs, lr=lr,
                batch_size=BATCH, optimizer=f"sgd:momentum={MOMENTUM}", seed=seed,
                schedule="streaming" if window > 1 else "relaxed", window=window,
            )  # fmt: skip
            found.values.append(result.test_accuracy)
        except pp.Diverged as error:
            found.diverged += 1
            note(f"  seed {seed}: {error}")
    note(f"{network}, {rule.form}, modulate {rule.modulate}, F x {rule.f_scale:g}, window {window}: {found}")
    return found


def _forms(data: pp.Data, scale: Scale) -> list[dict[str, Any]]:
    """784-1024-10: a row a window."""
    model = pp.build(SHALLOW, data.item_shape, data.classes)
    first = cut(model, data.item_shape, data.classes)[0]
    inputs = first.arrive(data.x_train)
    return [
        {
            "784-1024-10, window": window,
            "stability index": stability_index(first.synapse.module, inputs, LR, MOMENTUM, window),
            **{form: _accuracies(data, scale, SHALLOW, pp.Pepita(form=form), LR, window) for form in FORMS},
        }
        for window in scale.windows
    ]


def _depth(data: pp.Data, scale: Scale) -> list[dict[str, Any]]:
    """Eight hidden layers of 256: a row a way in for the error."""
    rows = []
    for modulate, lr in (("input", DEEP_INPUT_LR), ("all", LR)):
        rule, untrained = pp.Pepita(modulate=modulate), pp.Pepita(modulate=modulate, f_scale=0.0)
        rows.append(
            {
                "8 x 256, modulate": modulate,
                "lr": lr,
                **{f"window {w}": _accuracies(data, scale, DEEP, rule, lr, w, True) for w in scale.deep_windows},
                "F = 0, window 1": _accuracies(data, scale, DEEP, untrained, lr, 1, True),
            }
        )
    return rows


class _Watch(Observer):
    """Counts samples, and looks at the weights in use every so often: draining first would disturb what is measured."""

    def __init__(self, data: pp.Data, every: int = 0, target: float = 100.0) -> None:
        self.samples = 0
        self.reached: int | None = None  # after how many samples the target was first seen
        self._data, self._every, self._target = data, every, target
        self._probe = _deep(data).eval()
        self.pipeline: Pipeline | None = None

    def sample(self, tally: Tally) -> None:
        self.samples += 1
        if self._every and self.samples % self._every == 0:
            assert self.pipeline is not None
            self._probe.load_state_dict(self.pipeline.state()[0])
            right = self._probe(self._data.x_test).argmax(1) == self._data.y_test
            if 100 * float(right.float().mean()) >= self._target:
                self.reached = self.reached or self.samples


class _WatchedEngine(pp.LocalEngine):
    """Shows its pipeline to the observer."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__("cpu")
        self._watch = watch

    def open(self, plan: Plan) -> Pipeline:
        self._watch.pipeline = super().open(plan)
        return self._watch.pipeline


def _deep(data: pp.Data) -> torch.nn.Sequential:
    return pp.build(DEEP, data.item_shape, data.classes, dropout=DROPOUT, normal=True)


def _train_until(
    stop: Callable[[], bool],
    data: pp.Data,
    scale: Scale,
    engine: Engine,
    stages: int,
    name: str,
    seed: int,
    watch: _Watch,
) -> pp.Result:
    return pp.train(
        _deep(data), data, rule=pp.Pepita(modulate="all"), engine=engine, stages=stages, observer=watch, stop=stop,
        epochs=scale.epochs, lr=LR, batch_size=BATCH, optimizer=f"sgd:momentum={MOMENTUM}", seed=seed, schedule=name,
        window=_window(name),
    )  # fmt: skip


def _window(name: str) -> int:
    return STREAMING_WINDOW if name == "streaming" else 1


def _samples_needed(data: pp.Data, scale: Scale, name: str, seed: int) -> int | None:
    """After how many samples the weights in use first reach the target; None if they never do."""
    watch = _Watch(data, scale.every, scale.target)
    engine = _WatchedEngine(watch)
    _train_until(lambda: watch.reached is not None, data, scale, engine, 1, name, seed, watch)
    return watch.reached


def _time_to_accuracy(data: pp.Data, scale: Scale) -> list[dict[str, Any]]:
    """Eight hidden layers, modulate all: a row a schedule and engine.

    How many samples it takes is found in process, for every engine ends with the same weights; then a run of so many
    is timed in each. Seeds outside, so that a slow spell of the machine hits all cases.
    """
    engines: dict[str, tuple[Engine, int]] = {
        "local": (pp.LocalEngine("cpu"), 1),
        f"ray, {STAGES} stages": (pp.RayEngine(STAGES, device="cpu"), STAGES),
    }
    found: dict[tuple[str, str], list[tuple[int, float, float] | None]] = {
        (where, name): [] for where in engines for name in schedules.SCHEDULES
    }
    try:
        for seed in scale.seeds:
            for name in schedules.SCHEDULES:
                needed = _samples_needed(data, scale, name, seed)
                for where, (engine, stages) in engines.items():
                    case = found[where, name]
                    case.append(None if needed is None else _timed(needed, data, scale, engine, stages, name, seed))
                    note(f"{DEEP} to {scale.target:g} %, {where}, {name}, seed {seed}: {case[-1]}")
    finally:
        for engine, _ in engines.values():
            engine.close()
    return [
        {
            f"8 x 256 to {scale.target:g} %": where,
            "schedule": name,
            "window": _window(name),
            "samples": [run and run[0] for run in runs],
            "seconds": [run and run[1] for run in runs],
            "test % then": [run and f"{run[2]:.2f}" for run in runs],
        }
        for (where, name), runs in found.items()
    ]


def _timed(
    needed: int, data: pp.Data, scale: Scale, engine: Engine, stages: int, name: str, seed: int
) -> tuple[int, float, float]:
    """(samples, seconds of training, test accuracy) of a run that is stopped, and drained, after `needed` answers."""
    watch = _Watch(data)
    result = _train_until(lambda: watch.samples >= needed, data, scale, engine, stages, name, seed, watch)
    return result.steps, sum(line["seconds"] for line in result.history), result.test_accuracy


def measure(quick: bool) -> list[dict[str, Any]]:
    """The rows of all three tables."""
    scale = QUICK if quick else Scale()
    data = _data(scale.items)
    return [*_forms(data, scale), *_depth(data, scale), *_time_to_accuracy(data, scale)]
