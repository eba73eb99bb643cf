"""`train`: the whole path from a model and data to a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from pipepita.data import Data, load
from pipepita.errors import UserError, unknown
from pipepita.network import grow, spec
from pipepita.network.cut import cut
from pipepita.network.modules import NORM, children, describe, frozen, leaves, rebuild, role
from pipepita.network.standardize import Standardize
from pipepita.pipeline.engine import Engine
from pipepita.rules import Pepita, Rule
from pipepita.runs.display import Observer
from pipepita.runs.launch import Launch, Watch
from pipepita.runs.listeners import Listener
from pipepita.runs.options.job import Options
from pipepita.runs.options.kinds import check_kinds
from pipepita.runs.options.reading import checked
from pipepita.runs.place import Deploy, Where
from pipepita.runs.result import Result
from pipepita.runs.store.folder import RunFolder


def train(
    model: nn.Sequential,
    data: Data | str,
    *,
    rule: Rule | None = None,
    engine: str | Engine = "ray",
    normalize: bool | str = "auto",
    standardize: bool = False,
    init: str = "he",
    costs: Sequence[float] | None = None,
    deploy: Deploy | None = None,
    observer: Listener | None = None,
    stop: Callable[[], bool] = lambda: False,
    probe: Callable[[dict[str, Tensor]], dict[str, Any]] | None = None,
    about: dict[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Trains `model` in place and returns it with what happened.

    Args:
        model: An `nn.Sequential` whose last module is the output `nn.Linear`, over items of the data's shape. A layer
            whose weights are frozen (`requires_grad_(False)`) passes on what comes and is never updated.
        data: A `Data`, or the name of a data set that `load` knows.
        rule: The learning rule; by default `Pepita()` (Dellaferrera & Kreiman 2022, section 3).
        engine: "ray" (one actor per stage), "local" (this process), or an open engine, which is then kept open.
        normalize: Whether to put a parameterless `nn.RMSNorm` behind each hidden activation that has none, in `model`
            too. "auto" does so if there are two or more hidden layers, and the model has neither a normalisation of its
            own nor an `nn.Sequential` inside: deep networks do not learn without one.
        standardize: Whether to put a `pipepita.network.standardize.Standardize` with the mean and standard deviation of
            the training items (per channel or feature) in front of the network, in `model` too.
        init: "he" draws He-uniform weights from the seed, as the paper does (frozen layers keep theirs). "zero-output"
            does so, too, but the output layer begins at zero. "keep" begins with the model's own weights.
        costs: What each layer costs, in any unit, for balancing stages. By default multiplications are counted; with
            stages="auto" it is measured, and this must be left out.
        deploy: How `devices` are emulated; `pipepita.deployed` does it.
        observer: Told of progress; by default only warnings are passed on.
        stop: Asked before each sample; if it says true, the run ends there, with a checkpoint if there is a `run_dir`.
        probe: Called with the weights, by state_dict key, after each epoch. What it returns becomes the epoch's "probe"
            in `Result.history`.
        about: More entries for the summary.
        **options: The fields of `pipepita.runs.options.job.Options`. Learning: augment, validation, lr, optimizer (by
            default the rule's own), lr_decay, batch_size, epochs, seed. Schedule: schedule, window, look_ahead. Where:
            stages (a number, "auto" to measure how many are fastest, or layers like "2,1"), device, threads, address,
            placement, encrypt, max_restarts, loader_workers. Emulation: devices, link, assign, trouble, profiles,
            standard_ms, modulated_ms. Output: run_dir, snapshot_every, checkpoint_every, keep_checkpoints, tensorboard,
            trace, timeline. Nothing is written but `trace`, `timeline` and `run_dir`, if they are given.

    Returns:
        What happened, with the trained model. Accuracies are percent, losses nats. If the labels are numbers, half the
        squared error is the loss, and errors are in the labels' own units. The model is changed only if the run ends
        well or is stopped.

    Raises:
        UserError: An argument is wrong, or the model, the data and the rule do not go together.
        Diverged: A weight or an output stopped being finite. The message says what to change.
        StageDied: Stages were lost more often than `max_restarts` allows. (`pipepita.errors.ChannelClosed`, if it was
            a link; `ClusterDied`, if it was the Ray cluster.)
        RunError: A file could not be written, an item could not be read, or no node had room for a stage.
        KeyboardInterrupt: `stop` said true while a lost stage waited for a free node, or while stages="auto" measured.

    Example:
        >>> import torch.nn as nn
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        >>> result = train(model, "digits", engine="local", epochs=1)
        >>> result.rule, result.steps
        ('pepita', 23)
    """
    began = time.perf_counter()
    settings: Options = checked(Options, options)
    rule, observer = rule or Pepita(), observer or Observer()
    data = load(data) if isinstance(data, str) else data
    check_kinds(data, rule, engine, stop, observer)
    data = data.validating(settings.validation)
    if init not in (*spec.INITS, "keep"):
        raise unknown("init", init, (*spec.INITS, "keep"))
    folder = RunFolder(settings.run_dir) if settings.run_dir is not None else None
    # the caller's own: it shows mistakes that a copy does not have
    layers = cut(model, data.item_shape, data.classes, regression=data.regression)
    normalize = _normalizes(normalize, model, len(layers), observer)
    # From here on work with a copy: neither bad input nor a run that fails may change the model.
    copy = rebuild(describe(model))
    frozen_layers = [name for name, module in leaves(model) if frozen(module, name)]
    if init == "keep" or frozen_layers:
        # what is drawn below leaves frozen layers as they are
        copy.load_state_dict(model.state_dict())
    figures = [name for name, module in leaves(model) if isinstance(module, Standardize)]
    for name in figures:
        copy.get_submodule(name).load_state_dict(model.get_submodule(name).state_dict())
    trains = rule.network(copy, data.classes)
    if changed := trains is not copy:
        if init == "keep":
            raise UserError(
                f"init keep: rule {rule.name} trains another network than this one, whose weights it cannot take over: "
                "pass what rule.network(model, classes) returns"
            )
        copy = trains
    with data.open(settings.loader_workers, settings.batch_size) as data:
        if standardize:
            grow.standardized(copy, data.items.blocks())
        if normalize:
            grow.normalized(copy, data.item_shape)
        if init in spec.INITS:
            spec.initialise(copy, settings.seed, init)
        if frozen_layers or figures or standardize:
            init = "keep"  # no seed can draw these again
        launch = Launch(copy, data, rule, settings, Where(engine, costs, deploy), Watch(observer, stop, probe))
        result = launch.run(folder, about or {}, init, began=began)
    _give_back(model, copy, normalize or standardize or changed)
    result.model = model
    return result


def _normalizes(normalize: bool | str, model: nn.Sequential, layers: int, observer: Listener) -> bool:
    """Whether to put norms into `model`. For "auto" its depth decides."""
    if isinstance(normalize, bool):
        return normalize
    if normalize != "auto":
        raise unknown("normalize", normalize, ("auto", "True", "False"))
    nested = [name for name, module in children(model) if isinstance(module, nn.Sequential)]
    normed = any(role(module, name) == NORM for name, module in leaves(model))
    if layers > 2 and nested and not normed:
        observer.warn(
            f"module {nested[0]} is an nn.Sequential inside the model, so normalize='auto' puts no nn.RMSNorm in, "
            "and deep networks hardly learn without it: put them in yourself, or use one flat nn.Sequential"
        )
    return layers > 2 and not nested and not normed


def _give_back(model: nn.Sequential, trained: nn.Sequential, grown: bool) -> None:
    """Puts what was trained into the caller's model. grown: whether modules were put in."""
    if grown:
        own = dict(children(model))
        for name in own:
            delattr(model, name)
        for name, module in children(trained):
            as_it_was = name in own and describe(nn.Sequential(own[name])) == describe(nn.Sequential(module))
            model.add_module(name, own[name] if as_it_was else module)
    model.load_state_dict(trained.state_dict())
