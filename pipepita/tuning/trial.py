"""One trial: a job with the values that were drawn, trained within a process of Ray Tune's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipepita.data import load
from pipepita.errors import Diverged, PipepitaError, UserError
from pipepita.runs.display import Observer
from pipepita.runs.options.job import Job
from pipepita.runs.result import Result
from pipepita.runs.resume import resume
from pipepita.runs.store.folder import RunFolder, last_checkpoint
from pipepita.runs.train import train

# the options of a job that decide its bits; where it runs, and what it writes, is the search's business
_DECIDING = {
    "augment", "validation", "lr", "optimizer", "batch_size", "seed", "epochs", "lr_decay", "schedule", "window",
    "look_ahead", "device", "threads", "snapshot_every", "loader_workers",
}  # fmt: skip
Report = Callable[[dict[str, Any]], None]
LOWEST = float("-inf")  # the score of a trial that diverged: it is a result, too


class _Reporter(Observer):
    """Reports each epoch but the last, whose report also says what the weights are."""

    def __init__(self, epochs: int, report: Report) -> None:
        self._epochs, self._report = epochs, report

    def warn(self, text: str) -> None:
        """Nothing: every trial would repeat the same warning."""

    def epoch_ends(self, line: dict[str, Any]) -> None:
        if line["epoch"] < self._epochs:
            self._report(_figures(line))


def _figures(line: dict[str, Any]) -> dict[str, Any]:
    """What Ray Tune is told of an epoch. score: the higher the better."""
    score = line["test_accuracy"] if "test_accuracy" in line else line["test_r2"]
    return {"epoch": line["epoch"], "score": LOWEST if score is None else score}


def run(job: Job, folder: Path, report: Report) -> None:
    """Trains `job` in this process, whatever its engine: the bits are the same.

    Args:
        job: Its data set is read here.
        folder: Its run folder. If the trial was interrupted, it is there already, and the run goes on.
        report: Told of each epoch: "epoch" and "score" (accuracy in percent, or R2); in the end also of the digest of
            the weights, or of why there is none.
    """
    try:
        result = _trained(job, folder, report)
    except Diverged as error:
        report({"epoch": job.epochs, "score": LOWEST, "diverged": str(error)})
    except PipepitaError as error:
        failed(job, str(error), report)
    else:
        report({**_figures(result.history[-1]), "weights_sha256": result.weights_sha256})


def failed(job: Job, why: str, report: Report) -> None:
    """Reports that a trial's values do not go together: with `job`, or with each other."""
    report({"epoch": job.epochs, "score": LOWEST, "failed": why})


def _trained(job: Job, folder: Path, report: Report) -> Result:
    observer = _Reporter(job.epochs, report)
    if _resumable(folder):
        before = RunFolder.reopen(folder)
        before.release()
        for line in before.lines():
            observer.epoch_ends(line)
        return resume(folder, engine="local", observer=observer, data_dir=job.data_dir)
    shutil.rmtree(folder, ignore_errors=True)  # it was interrupted before it had begun
    data = load(job.dataset, data_dir=job.data_dir, download=job.download)
    options = job.options().model_dump(include=_DECIDING) | {"run_dir": folder, "checkpoint_every": 0.0}
    about = {"network": job.network, "data_dir": str(job.data_dir) if job.data_dir else None}
    return train(
        job.model(data), data, rule=job.make_rule(), engine="local", standardize=job.standardize, init=job.init,
        normalize=False, observer=observer, about=about, **options,
    )  # fmt: skip


def _resumable(folder: Path) -> bool:
    try:
        return last_checkpoint(folder, resumable=True)[0] is not None
    except UserError:
        return False
