"""`train`: the whole path from a model and data to a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from pipepita.data import Data, load
from pipepita.errors import UserError, unknown
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.modules import children, describe, frozen, leaves, rebuild
from pipepita.pipeline.engine import Engine
from pipepita.rules import Pepita, Rule
from pipepita.runs.display import Observer
from pipepita.runs.folder import RunFolder
from pipepita.runs.job import Options
from pipepita.runs.launch import Launch, Watch
from pipepita.runs.listeners import Listener
from pipepita.runs.place import Deploy, Where
from pipepita.runs.reading import checked
from pipepita.runs.result import Result


def train(
    model: nn.Sequential,
    data: Data | str,
    *,
    rule: Rule | None = None,
    engine: str | Engine = "ray",
    normalize: bool = False,
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

    model: an `nn.Sequential` whose last module is the output `nn.Linear`. data: a `Data`, or a name that `load` knows.
    rule: `Pepita()` by default. engine: "ray", "local", or an open engine, which is then kept open.
    normalize: put a parameterless `nn.RMSNorm` behind each hidden activation that has none, in `model` too.
    init: "he" draws He-uniform weights from the seed, as the paper does; "keep" goes on from the model's own weights.
    A layer whose weights are frozen (`requires_grad_(False)`) keeps them in either case, and is never updated.
    costs: seconds (or any unit) per layer, for balancing stages; by default multiplications are counted.
    deploy: how `devices` are emulated; `pipepita.deployed` is what does it.
    observer: told of progress. stop: asked before each sample; true ends the run there, with a checkpoint.
    probe: called with the weights after each epoch; what it returns is the epoch's "probe" in `Result.history`.
    about: more entries for the summary. options: the fields of `Options`: schedule, window, stages, optimizer, lr,
    lr_decay, batch_size, epochs, seed, device, address, placement, threads, standard_ms, modulated_ms, trace, timeline,
    run_dir, snapshot_every, checkpoint_every, keep_checkpoints, max_restarts, tensorboard. Nothing is written but
    `trace`, `timeline` and `run_dir`, where they are given.

    Raises `UserError` for what cannot be trained so, `Diverged` when a weight or an output stops being finite,
    `StageDied` or `ChannelClosed` when stages are lost more often than `max_restarts`. The model is changed only by a
    run that ends well or is stopped. (`KeyboardInterrupt` when asked to stop while a lost stage finds no place.)
    """
    began = time.perf_counter()
    settings: Options = checked(Options, options)
    rule, observer = rule or Pepita(), observer or Observer()
    data = load(data) if isinstance(data, str) else data
    _check_kinds(data, rule, engine, stop)
    if init not in ("he", "keep"):
        raise unknown("init", init, ("he", "keep"))
    folder = RunFolder(settings.run_dir) if settings.run_dir is not None else None
    cut(model, data.item_shape, data.classes)  # the caller's own, which shows more than a rebuilt one
    # From here on a rebuilt copy: bad input must not touch the model, and neither must a run that fails.
    work = rebuild(describe(model))
    still = [name for name, module in leaves(model) if frozen(module, name)]
    if init == "keep" or still:
        # whatever is drawn anew below, frozen layers keep their weights
        work.load_state_dict(model.state_dict())
    if normalize:
        spec.normalized(work, data.item_shape)
    if init == "he":
        spec.initialise(work, settings.seed)
    if still:
        init = "keep"  # no seed draws such weights again
    launch = Launch(work, data, rule, settings, Where(engine, costs, deploy), Watch(observer, stop, probe))
    result = launch.run(folder, about or {}, init, began=began)
    _give_back(model, work, normalize)
    result.model = model
    return result


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


def _give_back(model: nn.Sequential, work: nn.Sequential, normalize: bool) -> None:
    """Puts what was trained into the caller's model."""
    if normalize:
        own = dict(children(model))
        for name in own:
            delattr(model, name)
        for name, module in children(work):
            model.add_module(name, own.get(name, module))
    model.load_state_dict(work.state_dict())
