"""`tune`: tries settings of a job on held-out items, and finds the best.

OUT/tune.json      the job, the space and the rest of what was asked
    trials/        Ray Tune's own state, by which a search goes on
    runs/N/        the run folder of trial N
    trials.csv, trials.md, trials.png, best.toml
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pipepita.data import load
from pipepita.errors import PipepitaError, UserError, unknown
from pipepita.files import read_json
from pipepita.network import spec
from pipepita.progress import Progress, silent
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import checked
from pipepita.tuning import space
from pipepita.tuning.found import Found
from pipepita.tuning.through_ray import SCHEDULERS, TRIALS, check_installed, run

VALIDATION = 0.1  # the share of the training items that is held out, unless the job says otherwise
_MOST_TRIALS = 100_000


@dataclass(frozen=True)
class Asked:
    """A search, as asked for.

    Attributes:
        job: What all trials have in common; the options of a job that are not at their defaults. A tenth of the
            training items is held out unless it says `validation`.
        search: What is searched, as `space.parse` reads it; empty for the rule's own.
        trials: How often values are drawn.
        scheduler: Which trials end early: none with "fifo"; those that did worse than others after as many epochs with
            "asha" (Li et al. 2020) and "median" (Golovin et al. 2017).
        draws: Decides what is drawn.
    """

    job: dict[str, Any]
    search: Sequence[str] = ()
    trials: int = 16
    scheduler: str = "asha"
    draws: int = 0

    def write(self, folder: Path) -> None:
        """Writes tune.json into `folder`, which is made. `UserError` if it exists or cannot be made."""
        try:
            folder.mkdir(parents=True)
            (folder / "tune.json").write_text(json.dumps(asdict(self), default=str, indent=2) + "\n")
        except FileExistsError:
            raise UserError(f"folder {folder} exists: name another with --out, remove it, or --resume it") from None
        except OSError as error:
            raise UserError(f"folder {folder} cannot be made: {error.strerror}") from None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What was asked for in `folder`. `UserError` if it is not the folder of a search."""
        path = folder / "tune.json"
        if not path.is_file():
            raise UserError(f"{folder} is not the folder of a search: it has no tune.json")
        try:
            return cls(**read_json(path))
        except TypeError:
            raise UserError(f"{path} does not say what to search") from None


@dataclass(frozen=True)
class Plan:
    """What was asked for, checked. `UserError` if the job or the space is wrong."""

    asked: Asked
    job: Job
    space: space.Space

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The plan of a search."""
        job: Job = checked(Job, {"validation": VALIDATION, **asked.job})
        if asked.scheduler not in SCHEDULERS:
            raise unknown("scheduler", asked.scheduler, SCHEDULERS)
        if not 1 <= asked.trials <= _MOST_TRIALS:
            raise UserError(f"trials {asked.trials}: it must be from 1 to {_MOST_TRIALS}")
        if not job.validation:
            raise UserError("validation 0: settings are chosen by items held out of the training items, like 0.1")
        data = load(job.dataset, data_dir=job.data_dir, download=job.download).validating(job.validation)
        own = job.make_rule().defaults(spec.hidden_layers(job.network) + 1).search
        searched = space.parse(asked.search or own)
        space.check(searched, job, data)
        return cls(asked, job, searched)

    @property
    def trials(self) -> int:
        """How many there are in all."""
        each = [len(way.values) for way in self.space.values() if isinstance(way, space.Each)]
        return self.asked.trials * math.prod(each)


@dataclass(frozen=True)
class Running:
    """How trials are run, and who watches.

    Attributes:
        jobs: How many run at once; by default one per core, or as many as an existing cluster has CPUs for.
        address: An existing Ray cluster, whose nodes share the file system of the results. By default one is embedded.
        progress: Called with (epochs done, all epochs, what goes on).
        stop: Asked again and again; if it says true, the search ends there, and `go_on` goes on with it.
    """

    jobs: int | None = None
    address: str | None = None
    progress: Progress = silent
    stop: Callable[[], bool] = lambda: False


def tune(
    job: Mapping[str, Any],
    search: Sequence[str] = (),
    *,
    out: str | Path,
    trials: int = 16,
    scheduler: str = "asha",
    draws: int = 0,
    running: Running = Running(),
) -> Found:
    """Tries settings of a job on items held out of the training items, through Ray Tune, and finds the best.

    Every trial runs in one process, whatever the job's engine: the bits are the same.

    Args:
        job: The options of the job that are not at their defaults; as in a job file. A tenth of the training items is
            held out unless it says `validation`.
        search: What is searched, like "lr=log:1e-4..1"; see `pipepita.tuning.space`. By default what the rule names.
        out: A folder that does not exist yet. The results are written there.
        trials: How often values are drawn.
        scheduler: Which trials end early: none with "fifo"; with "asha" and "median" those that did worse than others
            after as many epochs. Sources are named at `Asked`.
        draws: Decides what is drawn.
        running: How trials are run, and who watches: a `pipepita.tuning.search.Running`.

    Returns:
        All trials, the best first, without models. The run folder of trial N is OUT/runs/N. To learn from the held-out
        items, too, train the best job with validation=0.

    Raises:
        UserError: The job or the space is wrong, the folder exists, or Ray Tune or matplotlib is not installed.
        RunError: The trials could not be run.

    Example:
        >>> import pipepita as pp
        >>> found = pp.tune({"network": "fc:32", "epochs": 2}, ["lr=each:0.001|0.1"], trials=1, out="tuned")
        >>> len(found.trials), found.best_job.lr
        (2, 0.1)
        >>> print(open("tuned/best.toml").read().splitlines()[2])
        lr = 0.1
    """
    check_installed()
    asked, folder = Asked(dict(job), search, trials, scheduler, draws), Path(out)
    plan = Plan.of(asked)
    asked.write(folder)
    try:
        return _found(plan, folder, running, anew=True)
    except PipepitaError:
        if not (folder / TRIALS).exists():  # it never began: the folder is free for another try
            shutil.rmtree(folder, ignore_errors=True)
        raise


def go_on(out: str | Path, running: Running = Running()) -> Found:
    """Goes on with the search of the folder `out`, which was stopped.

    Trials that had ended stay as they are, and one that was interrupted goes on from its last epoch. Which ones end
    early from now on may differ from a search that was never stopped.

    Raises:
        UserError: `out` holds no search, or Ray Tune is not installed.
        RunError: The search failed.
    """
    check_installed()
    return _found(Plan.of(Asked.read(Path(out))), Path(out), running, anew=False)


def _found(plan: Plan, folder: Path, running: Running, *, anew: bool) -> Found:
    tried = run(plan, folder.absolute(), running, anew=anew)
    best_first = sorted(tried, key=lambda one: (one.weights_sha256 is None, -one.score, one.number))
    found = Found(plan.job, best_first, interrupted=running.stop())
    found.write(folder)
    return found
