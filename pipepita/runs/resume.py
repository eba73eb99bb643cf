"""`resume`: a run that was killed or stopped goes on from its last checkpoint, as if nothing had happened."""

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
from pipepita.rules.loading import source_sha256
from pipepita.runs.display import Observer
from pipepita.runs.launch import Launch, Watch
from pipepita.runs.listeners import Listener
from pipepita.runs.place import Deploy, Where
from pipepita.runs.result import Result
from pipepita.runs.store.folder import RunFolder
from pipepita.runs.store.saved import SavedRun, run_folder

# The options that a resumed run may change: none of them decides the bits.
CHANGEABLE = (
    "epochs", "stages", "address", "placement", "encrypt", "max_restarts", "checkpoint_every", "keep_checkpoints",
    "trace", "timeline", "tensorboard", "loader_workers",
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
    """Goes on with a run that was killed or stopped, also in the middle of an epoch.

    It ends with the bits of a run that was never interrupted. If it was killed before its first checkpoint, it begins
    again.

    Args:
        run_dir: The run folder. A damaged checkpoint is named in a warning, and the one before it is used.
        data: The data of the run, if it was not a named data set.
        rule: The run's learning rule, if its class cannot be found again by its name.
        engine: Another engine than the run's: "ray", "local", or an open engine, which is then kept open.
        deploy: How `devices` are emulated; `pipepita.deployed` does it.
        observer: Told of progress; by default only warnings are passed on.
        stop: Asked before each sample; if it says true, the run ends there, with a checkpoint.
        **changes: New values for some of `CHANGEABLE`. They also hold when the run is resumed again, except for trace,
            timeline and address. With more `epochs` a finished run goes on. And `data_dir`, the folder of the named
            data set, if it is not where the run found it; this holds for one time only, too.

    Returns:
        What happened in the whole run, with the trained model. Accuracies are percent, losses nats.

    Raises:
        UserError: The folder is no run folder, its run is still going on, all checkpoints are damaged, the data are not
            the run's, or an option may not be changed.
        Diverged: A weight or an output stopped being finite.
        StageDied: Stages were lost more often than `max_restarts` allows. (`pipepita.errors.ChannelClosed`, if it was
            a link; `ClusterDied`, if it was the Ray cluster.)
        RunError: As `train` says.
        KeyboardInterrupt: As `train` says.

    Example:
        >>> import pipepita as pp
        >>> data = pp.load("digits")
        >>> model = pp.build("fc:32", data.item_shape, data.classes)
        >>> pp.train(model, data, engine="local", epochs=1, run_dir="my-run").steps
        23
        >>> pp.resume("my-run", epochs=3).steps
        69
    """
    began, observer, data_dir = time.perf_counter(), observer or Observer(), changes.pop("data_dir", None)
    for name in changes:
        if name not in CHANGEABLE:
            changeable = ", ".join(CHANGEABLE)
            raise UserError(f"{name} {changes[name]!r}: a resumed run keeps its own; only {changeable} may change")
    if data is not None and not isinstance(data, Data):
        raise UserError(f"data is {type(data).__name__}: pass a pipepita.Data")
    folder = RunFolder.reopen(run_folder(run_dir))
    try:
        saved = SavedRun.open(run_dir, resumable=True)
        for line in saved.damaged:
            observer.warn(line)
        settings = saved.settings(**{**folder.changes(), **changes})
        model, rule, resumption = saved.model, saved.rule(rule), saved.resumption(folder)
        engine, version = engine or saved.engine(), saved.entry("torch")
        data = saved.data(data, data_dir)
        if version != torch.__version__:
            observer.warn(f"the run began with torch {version}; with {torch.__version__} it may end with other bits")
        before, now = saved.about.get("rule_sha256"), source_sha256(rule)
        if before is not None and now is not None and before != now:
            observer.warn(f"the file of rule {saved.entry('rule')} has changed: the run may end with other bits")
        progress = resumption.progress
        if progress.sample and progress.epoch > settings.epochs:
            raise UserError(
                f"epochs {settings.epochs}: {saved.path} is in the middle of epoch {progress.epoch} already"
            )
        folder.history(progress.history)
        observer.resumes(progress)
        kept = {key: str(value) if isinstance(value, Path) else value for key, value in changes.items()}
        folder.event("resume", step=progress.step, checkpoint=str(saved.place) if saved.place else None, changes=kept)
        about: dict[str, Any] = {key: saved.about[key] for key in ("network", "data_dir") if key in saved.about}
        with data.open(settings.loader_workers, settings.batch_size) as data:
            launch = Launch(model, data, rule, settings, Where(engine, deploy=deploy), Watch(observer, stop))
            return launch.run(folder, about, saved.entry("init"), resumption, began=began)
    finally:
        folder.release()
