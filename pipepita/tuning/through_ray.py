"""Runs the trials of a search through Ray Tune: the only file that knows it."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipepita.engines.ray.cluster import Cluster, first_line
from pipepita.engines.ray.engine import gpus_here
from pipepita.engines.ray.shipping import by_value
from pipepita.errors import PipepitaError, RunError, UserError
from pipepita.extras import need
from pipepita.machine import cores
from pipepita.runs.options.job import Job
from pipepita.tuning import trial
from pipepita.tuning.found import Tried
from pipepita.tuning.space import settled

if TYPE_CHECKING:
    from pipepita.tuning.search import Plan, Running

TRIALS = "trials"  # the name of Ray Tune's folder
_FAILURES = 3  # of a trial's process, after which it is given up
_PATIENCE = 9  # trials run for at least this part of the epochs
_NEEDED = ("pandas", "pyarrow", "requests")  # which Ray alone does without
# no tables on stdout, no logs in our folders, no change of the working folder, and our own Ctrl-C
_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def _asha(epochs: int) -> Any:
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler("epoch", "score", "max", max_t=epochs, grace_period=_shortest(epochs))


def _fifo(epochs: int) -> Any:
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


def _median(epochs: int) -> Any:
    from ray.tune.schedulers import MedianStoppingRule

    return MedianStoppingRule("epoch", "score", "max", grace_period=_shortest(epochs))


def _shortest(epochs: int) -> int:
    """After how many epochs a trial may be ended at the earliest."""
    return max(1, epochs // _PATIENCE)


# what decides which trials end early, by its name; each is given the number of epochs
SCHEDULERS: dict[str, Callable[[int], Any]] = {"asha": _asha, "fifo": _fifo, "median": _median}


def check_installed() -> None:
    """Raises `UserError` if Ray Tune cannot be imported, or no picture be drawn."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f"tune needs Ray Tune, which needs {', '.join(missing)}: pip install 'pipepita[tune]'")
    need("tune", "matplotlib")


def run(plan: Plan, folder: Path, running: Running, *, anew: bool) -> list[Tried]:
    """Runs all trials of a search, or those that are left.

    Args:
        plan: The search.
        folder: Of its results, absolute.
        running: How trials are run, and who watches.
        anew: Whether it begins.

    Raises:
        UserError: The cluster cannot be reached.
        RunError: Ray Tune failed.
    """
    with ExitStack() as cleanup:
        locks = folder / "locks"  # Ray Tune would leave them in the system's temporary folder
        cleanup.enter_context(_environment({**_SETTINGS, "RAY_TMPDIR": str(locks)}))
        cleanup.callback(shutil.rmtree, locks, ignore_errors=True)
        address = running.address
        cluster = Cluster(address, running.jobs or cores(), gpus_here() if address is None else 0)
        cleanup.callback(cluster.close)
        by_value(plan.job.make_rule())
        try:
            with _quiet():
                return [_tried(one) for one in _trials(plan, folder, running, anew=anew)]
        except Exception as error:  # Ray Tune raises many kinds
            raise RunError(f"the trials could not be run: {first_line(error)}") from None


def _trials(plan: Plan, folder: Path, running: Running, *, anew: bool) -> Sequence[Any]:
    """All trials, as Ray Tune knows them, once they have ended or somebody asked to stop."""
    from ray import tune
    from ray.tune.search.basic_variant import BasicVariantGenerator

    return tune.run(
        _trainable(plan.job, folder / "runs"),
        name=TRIALS,
        storage_path=str(folder),
        config={name: way.domain() for name, way in plan.space.items()},
        num_samples=plan.asked.trials,
        search_alg=BasicVariantGenerator(random_state=plan.asked.draws, max_concurrent=running.jobs or 0),
        scheduler=SCHEDULERS[plan.asked.scheduler](plan.job.epochs),
        resources_per_trial=_resources(plan.job),
        max_failures=_FAILURES,
        raise_on_failed_trial=False,
        trial_dirname_creator=lambda one: str(_number(one.trial_id)),
        callbacks=[_watcher(plan, running)],
        resume_config=None if anew else tune.ResumeConfig(errored="resume"),
        verbose=0,
    ).trials


def _trainable(job: Job, runs: Path) -> Callable[[dict[str, Any]], None]:
    """What Ray Tune runs in a process of its own, with the values that it has drawn."""

    def trains(drawn: dict[str, Any]) -> None:
        from ray import tune

        scores: list[float] = []

        def report(figures: dict[str, Any]) -> None:
            del scores[figures["epoch"] - 1 :]
            scores.append(figures["score"])
            tune.report({**figures, "scores": [*scores]})

        number = _number(tune.get_context().get_trial_id())
        try:
            chosen = settled(job, drawn)
        except PipepitaError as error:
            trial.failed(job, str(error), report)
        else:
            trial.run(chosen, runs / str(number), report)

    return trains


def _resources(job: Job) -> dict[str, float]:
    import ray

    gpus = job.device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0
    return {"cpu": job.threads, **({"gpu": 1} if gpus else {})}


def _number(trial_id: str) -> int:
    """From 1. Ray Tune's own names end with a number from 0."""
    return int(trial_id.rpartition("_")[2]) + 1


def _tried(one: Any) -> Tried:
    """What became of a trial of Ray Tune's."""
    result = one.last_result or {}
    trouble = result.get("diverged") or result.get("failed")
    if trouble is None and one.status == "ERROR":
        trouble = "its process was lost, again and again"
    return Tried(
        _number(one.trial_id), dict(one.config), tuple(result.get("scores", ())), result.get("weights_sha256"), trouble
    )


def _watcher(plan: Plan, running: Running) -> Any:
    from ray.tune import Callback

    epochs = plan.job.epochs

    class Watcher(Callback):
        """Shows how far all trials are, and passes on that somebody asked to stop."""

        def __init__(self) -> None:
            self._done: dict[int, int] = {}
            self._best = trial.LOWEST

        def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
            if running.stop():
                signal.raise_signal(signal.SIGUSR1)  # Ray Tune keeps its state then, and ends

        def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
            self._best = max(self._best, result["score"])
            self._show(trial.trial_id, result["epoch"])

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self._show(trial.trial_id, epochs)

        def _show(self, trial_id: str, epoch: int) -> None:
            self._done[_number(trial_id)] = epoch
            running.progress(sum(self._done.values()), plan.trials * epochs, f"best so far {self._best:.4g}")

    return Watcher()


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """With these environment variables."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the log lines of Ray Tune, which are not for people who never chose it."""
    loggers = [logging.getLogger(name) for name in ("ray.tune", "ray.train", "ray.air")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
