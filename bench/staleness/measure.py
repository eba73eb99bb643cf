"""`python -m bench.staleness`: MNIST test accuracy against samples in flight, and the time until it is reached.

The four forms of the modulated pass by window, with one hidden layer; eight hidden layers, with the error at the input
or at all layers; what predicted weights are worth, in fully connected and convolutional networks; and how many samples
and seconds each schedule needs to reach a given accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pipepita as pp
from bench.common import note
from bench.staleness import ahead
from bench.staleness.accuracies import Accuracies, Silent
from pipepita import schedule as schedules
from pipepita.data.sets import DATA_DIR_VARIABLE
from pipepita.network.cut import cut
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.tally import Tally
from pipepita.rules.pepita import Form, Modulate
from pipepita.rules.stability import stability_index
from pipepita.runs.display import Observer

BATCH, MOMENTUM = 64, 0.9
FORMS: tuple[Form, ...] = ("textbook", "stash", "recompute", "difference")
SHALLOW, DEEP, DROPOUT = "fc:1024", "fc:256x8", 0.1
DEPTH_DROPOUT = 0.0  # of the second table: with dropout, modulate input hardly learns at this depth
LR, DEEP_INPUT_LR, F_SCALE = 0.1, 0.03, 0.05
STREAMING_WINDOW, STAGES = 5, 2


@dataclass(frozen=True)
class Scale:
    """How much is run.

    images: of CIFAR-10. every: in which steps the samples needed for `target` percent are counted.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    items: int = 60_000
    epochs: int = 2
    windows: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    deep_windows: tuple[int, ...] = (1, 5, 9)
    ahead_windows: tuple[int, ...] = (1, 3, 5, 9, 16, 32)
    images: int = 20_000
    every: int = 50
    target: float = 92.0


QUICK = Scale(
    seeds=(0,),
    items=6_400,
    windows=(1, 4, 16),
    deep_windows=(1, 5),
    ahead_windows=(1, 3),
    images=2_000,
    every=20,
    target=50.0,
)


def _data(name: str, items: int) -> pp.Data:
    try:
        data = pp.load(name)
    except pp.UserError as error:
        raise pp.UserError(f"set {DATA_DIR_VARIABLE} to a folder with torchvision's {name} ({error})") from None
    return pp.Data(data.x_train[:items], data.y_train[:items], data.x_test, data.y_test, data.classes, data.name)


def _accuracies(data: pp.Data, scale: Scale, network: str, rule: pp.Pepita, lr: float, window: int) -> Accuracies:
    """One run per seed, in this process."""
    deep = network == DEEP
    accuracies = Accuracies()
    for seed in scale.seeds:
        model = pp.build(
            network, data.item_shape, data.classes, dropout=DEPTH_DROPOUT if deep else DROPOUT, normal=deep
        )
        try:
            result = pp.train(
                model, data, rule=rule, engine="local", normalize=False, device="cpu", observer=Silent(),
                epochs=scale.epochs, lr=lr, batch_size=BATCH, optimizer=f"sgd:momentum={MOMENTUM}", seed=seed,
                schedule="streaming" if window > 1 else "relaxed", window=window, look_ahead="off",
            )  # fmt: skip
            accuracies.values.append(result.test_accuracy)
        except pp.Diverged as error:
            accuracies.diverged += 1
            note(f"  seed {seed}: {error}")
    note(f"{network}, {rule.form}, modulate {rule.modulate}, F x {rule.f_scale:g}, window {window}: {accuracies}")
    return accuracies


def _forms(data: pp.Data, scale: Scale) -> list[dict[str, Any]]:
    """784-1024-10: one row per window."""
    model = pp.build(SHALLOW, data.item_shape, data.classes)
    first = cut(model, data.item_shape, data.classes)[0]
    inputs = first.arrive(data.x_train)
    rules = [pp.Pepita(form=form, modulate="input", f_scale=F_SCALE) for form in FORMS]
    return [
        {
            "784-1024-10, window": window,
            "stability index": stability_index(first.synapse.module, inputs, LR, MOMENTUM, window),
            **{rule.form: _accuracies(data, scale, SHALLOW, rule, LR, window) for rule in rules},
        }
        for window in scale.windows
    ]


def _depth(data: pp.Data, scale: Scale) -> list[dict[str, Any]]:
    """Eight hidden layers of 256: one row per place where the error enters."""
    rows = []
    places: tuple[tuple[Modulate, float], ...] = (("input", DEEP_INPUT_LR), ("all", LR))
    for modulate, lr in places:
        rule, without_error = (pp.Pepita(modulate=modulate, f_scale=scale) for scale in (F_SCALE, 0.0))
        rows.append(
            {
                "8 x 256, no dropout, modulate": modulate,
                "lr": lr,
                **{f"window {w}": _accuracies(data, scale, DEEP, rule, lr, w) for w in scale.deep_windows},
                "F = 0, window 1": _accuracies(data, scale, DEEP, without_error, lr, 1),
            }
        )
    return rows


class _Answered(Observer):
    """Counts the samples whose error is known, to stop a run after a given number."""

    def __init__(self) -> None:
        self.samples = 0

    def sample(self, tally: Tally) -> None:
        self.samples += 1


def _first(samples: int, data: pp.Data, scale: Scale, engine: Engine, stages: int, name: str, seed: int) -> pp.Result:
    """Trains eight hidden layers, modulate all, on the first `samples` samples, and evaluates them."""
    window, answered = _window(name), _Answered()
    result = pp.train(
        pp.build(DEEP, data.item_shape, data.classes, dropout=DROPOUT, normal=True), data,
        rule=pp.Pepita(modulate="all", f_scale=F_SCALE), engine=engine, normalize=False, stages=stages,
        epochs=scale.epochs, lr=LR, batch_size=BATCH,
        optimizer=f"sgd:momentum={MOMENTUM}", seed=seed, schedule=name, window=window, look_ahead="off",
        observer=answered,
        stop=lambda: answered.samples > samples - window,  # window - 1 more are in flight
    )  # fmt: skip
    assert result.steps == samples
    return result


def _seconds(run: pp.Result) -> float:
    """The seconds of training, without evaluation."""
    return sum(line["seconds"] for line in run.history)


def _window(name: str) -> int:
    return STREAMING_WINDOW if name == "streaming" else 1


def _needed(data: pp.Data, scale: Scale, name: str, seed: int) -> int | None:
    """How many samples reach the target: the smallest multiple of `every` that does; None if none does.

    Each number of samples takes a run of its own: to evaluate on the way would drain the pipeline, which changes
    what is learnt.
    """
    engine = pp.LocalEngine("cpu")
    for samples in range(scale.every, scale.epochs * len(data.x_train) // BATCH, scale.every):
        if _first(samples, data, scale, engine, 1, name, seed).test_accuracy >= scale.target:
            return samples
    return None


def _time_to_accuracy(data: pp.Data, scale: Scale) -> list[dict[str, Any]]:
    """One row per engine and schedule.

    How many samples are needed is counted in process, once per window, because engines and locks change no weight. Then
    a run with that number is timed in each engine. The outer loop goes over seeds, so that all cases suffer alike if
    the machine is slow for a while.
    """
    engines: dict[str, tuple[Engine, int]] = {
        "local": (pp.LocalEngine("cpu"), 1),
        f"ray, {STAGES} stages": (pp.RayEngine(STAGES, device="cpu"), STAGES),
    }
    runs: dict[tuple[str, str], list[pp.Result | None]] = {
        (where, name): [] for where in engines for name in schedules.FIXED
    }
    try:
        for seed in scale.seeds:
            needed = {_window(name): _needed(data, scale, name, seed) for name in ("relaxed", "streaming")}
            for (where, name), results in runs.items():
                samples = needed[_window(name)]
                run = None if samples is None else _first(samples, data, scale, *engines[where], name, seed)
                results.append(run)
                seen = run and f"{samples} samples, {_seconds(run):.2f} s, {run.weights_sha256[:12]}"
                note(f"{DEEP} to {scale.target:g} %, {where}, {name}, seed {seed}: {seen}")
    finally:
        for engine, _ in engines.values():
            engine.close()
    return [
        {
            f"8 x 256, dropout {DROPOUT:g}, to {scale.target:g} %": where,
            "schedule": name,
            "window": _window(name),
            "samples": [run and run.steps for run in results],
            "seconds": [run and _seconds(run) for run in results],
            "test % then": [run and f"{run.test_accuracy:.2f}" for run in results],
        }
        for (where, name), results in runs.items()
    ]


def _ahead(mnist: pp.Data, scale: Scale) -> list[dict[str, Any]]:
    """Without and with predicted weights: two rows per network, of one seed."""
    cases = ahead.cases(mnist, _data("cifar10", scale.images))
    return [row for case in cases for row in ahead.table(case, scale.seeds[:1], scale.ahead_windows)]


def measure(quick: bool) -> list[dict[str, Any]]:
    """The rows of all tables."""
    scale = QUICK if quick else Scale()
    data = _data("mnist", scale.items)
    return [*_forms(data, scale), *_depth(data, scale), *_ahead(data, scale), *_time_to_accuracy(data, scale)]
