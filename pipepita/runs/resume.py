"""`resume`: a run that was killed or stopped goes on from its last checkpoint, to the bits that it would have had."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipepita.data import Data, load
from pipepita.errors import UserError
from pipepita.network import spec
from pipepita.network.modules import rebuild
from pipepita.pipeline.engine import Engine
from pipepita.rules import RULES
from pipepita.runs.display import Observer
from pipepita.runs.folder import RunFolder, last_checkpoint, read_run
from pipepita.runs.job import Options, checked
from pipepita.runs.launch import Launch
from pipepita.runs.result import Result
from pipepita.runs.run import Progress

# what may be another one than the run began with: none of it decides the bits
CHANGEABLE = (
    "epochs", "stages", "address", "placement", "max_restarts", "checkpoint_every", "keep_checkpoints",
    "trace", "timeline", "tensorboard",
)  # fmt: skip


def resume(
    run_dir: str | Path,
    data: Data | None = None,
    *,
    data_dir: str | Path | None = None,
    engine: str | Engine | None = None,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Result:
    """Goes on with the run of a run folder, in the middle of an epoch if need be, and returns it with its model.

    data: for runs on data of your own; otherwise the run's data set is loaded by name, from `data_dir` or where the run
    found it. engine: another one than the run's. changes: any of `CHANGEABLE`, which then hold for the next time, too;
    with more `epochs` a finished run goes on. A checkpoint that is damaged is warned of by name, and the one before is
    used; where the run was killed before its first, it begins again.

    Raises `UserError` for a folder that is none, a run that still goes on, other data, checkpoints that are all
    damaged, and changes that would decide the bits; and as `train`.
    """
    began, path, observer = time.perf_counter(), Path(run_dir), observer or Observer()
    for name in changes:
        if name not in CHANGEABLE:
            may = ", ".join(CHANGEABLE)
            raise UserError(f"{name} {changes[name]!r}: a resumed run keeps its own; only {may} may change")
    if data is not None and not isinstance(data, Data):
        raise UserError(f"data is {type(data).__name__}: pass a pipepita.Data")
    about = read_run(path)
    folder = RunFolder.reopen(path)
    try:
        found, damaged = last_checkpoint(path, resumable=True)
        for line in damaged:
            observer.warn(line)
        try:
            options = {**about["options"], "run_dir": str(path), **folder.changes(), **changes}
            settings: Options = checked(Options, options)
            model = rebuild(about["model"])
            rule = RULES[about["rule"]](**about["rule_options"])
            name, kept_dir = about["dataset"], about.get("data_dir")
            engine = engine or about["engine"]
            progress, state = Progress(), None
            if found is not None:
                progress, state = Progress.of(found.about, folder.lines()), found.state()
                model.load_state_dict(state.weights)  # whether they fit; every stage is given them later
            if about["init"] == "he":
                spec.initialise(model, settings.seed)
            elif found is None:
                raise UserError(f"{path} holds no checkpoint, and its weights were not drawn from the seed: train anew")
            fingerprint, version = about["data_sha256"], about["torch"]
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, RecursionError) as error:
            raise UserError(f"{path} does not fit together: {str(error).splitlines()[0]}") from None
        if data is None:
            data = load(name, data_dir=data_dir or kept_dir)
        if data.fingerprint() != fingerprint:
            raise UserError(f"data {data.name!r} is not what {path} was trained on: pass the same")
        if version != torch.__version__:
            observer.warn(f"the run began with torch {version}; with {torch.__version__} it may end with other bits")
        if progress.sample and progress.epoch > settings.epochs:
            raise UserError(f"epochs {settings.epochs}: {path} is in the middle of epoch {progress.epoch} already")
        folder.history(progress.history)
        kept = {key: str(value) if isinstance(value, Path) else value for key, value in changes.items()}
        folder.event("resume", step=progress.step, checkpoint=str(found.path) if found else None, changes=kept)
        launch = Launch(model, data, rule, settings, engine, observer=observer, stop=stop)
        extra: dict[str, Any] = {key: about[key] for key in ("network", "data_dir") if key in about}
        place = None if found is None else found.path
        return launch.run(began, folder, extra, init=about["init"], progress=progress, state=state, checkpoint=place)
    finally:
        folder.release()
