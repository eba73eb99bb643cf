"""`resume`: a run that was killed or stopped goes on from its last checkpoint, to the bits that it would have had."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipepita.data import Data
from pipepita.errors import UserError
from pipepita.pipeline.engine import Engine
from pipepita.rules import Rule
from pipepita.runs.display import Observer
from pipepita.runs.folder import RunFolder
from pipepita.runs.launch import Launch, Watch
from pipepita.runs.listeners import Listener
from pipepita.runs.place import Deploy, Where
from pipepita.runs.result import Result
from pipepita.runs.saved import SavedRun

# what may be another one than the run began with: none of it decides the bits
CHANGEABLE = (
    "epochs", "stages", "address", "placement", "max_restarts", "checkpoint_every", "keep_checkpoints",
    "trace", "timeline", "tensorboard",
)  # fmt: skip


def resume(
    run_dir: str | Path,
    data: Data | None = None,
    *,
    rule: Rule | None = None,
    engine: str | Engine | None = None,
    deploy: Deploy | None = None,
    observer: Listener | None = None,
    stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Result:
    """Goes on with the run of a run folder, in the middle of an epoch if need be, and returns it with its model.

    data: for runs on data of your own; otherwise the run's data set is loaded by name, from `data_dir` or where the run
    found it. rule: the run's own, for one whose class cannot be found again by its name. engine: another one than the
    run's. deploy: as in `train`. changes: `data_dir`, and any of `CHANGEABLE`, which then hold for the next time, too;
    with more `epochs` a finished run goes on. A checkpoint that is damaged is warned of by name, and the one before is
    used; if the run was killed before its first, it begins again.

    Raises `UserError` for a folder that is none, a run that still goes on, other data, checkpoints that are all
    damaged, and changes that would decide the bits; and as `train`.
    """
    began, observer, data_dir = time.perf_counter(), observer or Observer(), changes.pop("data_dir", None)
    for name in changes:
        if name not in CHANGEABLE:
            may = ", ".join(CHANGEABLE)
            raise UserError(f"{name} {changes[name]!r}: a resumed run keeps its own; only {may} may change")
    if data is not None and not isinstance(data, Data):
        raise UserError(f"data is {type(data).__name__}: pass a pipepita.Data")
    folder = RunFolder.reopen(Path(run_dir))
    try:
        saved = SavedRun.open(run_dir, resumable=True)
        for line in saved.damaged:
            observer.warn(line)
        settings = saved.settings(**{**folder.changes(), **changes})
        model, rule, resumption = saved.model, saved.rule(rule), saved.resumption(folder)
        engine, fingerprint, version = engine or saved.entry("engine"), saved.entry("data_sha256"), saved.entry("torch")
        data = saved.data(data, data_dir)
        if data.fingerprint() != fingerprint:
            raise UserError(f"data {data.name!r} is not what {saved.path} was trained on: pass the same")
        if version != torch.__version__:
            observer.warn(f"the run began with torch {version}; with {torch.__version__} it may end with other bits")
        progress = resumption.progress
        if progress.sample and progress.epoch > settings.epochs:
            raise UserError(
                f"epochs {settings.epochs}: {saved.path} is in the middle of epoch {progress.epoch} already"
            )
        folder.history(progress.history)
        kept = {key: str(value) if isinstance(value, Path) else value for key, value in changes.items()}
        folder.event("resume", step=progress.step, checkpoint=str(saved.place) if saved.place else None, changes=kept)
        launch = Launch(model, data, rule, settings, Where(engine, deploy=deploy), Watch(observer, stop))
        about: dict[str, Any] = {key: saved.about[key] for key in ("network", "data_dir") if key in saved.about}
        return launch.run(folder, about, saved.entry("init"), resumption, began=began)
    finally:
        folder.release()
