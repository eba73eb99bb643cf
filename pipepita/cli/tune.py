"""`pipepita tune`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipepita.cli import INTERRUPTED
from pipepita.cli.options import Assignments, JobFile, with_options
from pipepita.cli.words import JSON_HELP
from pipepita.errors import UserError
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import read_job

if TYPE_CHECKING:
    from pipepita.tuning.found import Found

# what a job says of its learning; where its trials run, this command decides
_FIELDS = (
    "dataset", "data_dir", "download", "standardize", "augment", "validation", "network", "activation", "normalize",
    "init", "dropout", "rule", "lr", "optimizer", "batch_size", "seed", "epochs", "lr_decay", "schedule", "window",
    "look_ahead", "device", "threads", "address",
)  # fmt: skip
_PANEL = "Search"


@with_options(Job, _FIELDS, {"validation": 0.1})
def tune(
    job: JobFile = None,
    *,
    assignments: Assignments = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            help="what is searched, like lr=log:1e-4..1, batch-size=16..128, optimizer=sgd|adam, lr=each:0.1|0.01 or "
            "rule.f_scale=0.05|0.1; may be given several times (default: what the rule itself names, mostly lr)",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            help="how often values are drawn; with each: so often for each (default: 16)",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="which trials end early: asha or median (those that do worse than others did after as many epochs), "
            "or fifo (none) (default: asha)",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="decides what is drawn (default: 0)", show_default=False, rich_help_panel=_PANEL),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="how many trials run at once (default: one per core)", show_default=False, rich_help_panel=_PANEL
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder for tables, pictures and the best job, which must not exist yet (default: a new folder in "
            "./tuned)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="go on with the search of this folder", show_default=False, rich_help_panel="Other"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP, rich_help_panel="Output")] = False,
    **given: Any,
) -> None:
    """Choose a job's settings by trials, on items that are held out of the training items.

    Ray Tune draws the values, runs the trials and ends bad ones early. The best settings become a job file, best.toml,
    which train takes. The test items are never used.
    """
    wanted = {"trials": trials, "scheduler": scheduler, "draws": draws}
    asked_for: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs {jobs}: it must be at least 1")
    if resume is not None:
        if job or assignments or search or out or asked_for or given.keys() - {"address"}:
            raise UserError(f"--resume {resume} keeps the search's own: leave all but --jobs and --address out")
    else:
        settings: Job = read_job(job, given, assignments or [])
    from pipepita.runs.display import progress
    from pipepita.runs.interrupt import Interrupt
    from pipepita.runs.store.folder import fresh
    from pipepita.tuning.search import Running, go_on
    from pipepita.tuning.search import tune as run

    words = "stopping: what was learnt is kept, and --resume goes on (press Ctrl-C again to stop at once)"
    with Interrupt(words) as stop, progress("tuning") as advance:
        running = Running(jobs, given.get("address"), advance, stop)
        if resume is not None:
            folder, found = resume, go_on(resume, running)
        else:
            folder = out or fresh(f"{settings.dataset}-{settings.network}", "tuned")
            options = settings.model_dump(mode="json", exclude_unset=True)
            found = run(options, search or (), out=folder, running=running, **asked_for)
    _show(found, folder, as_json)
    if found.interrupted:
        raise typer.Exit(INTERRUPTED)


def _show(found: Found, folder: Path, as_json: bool) -> None:
    report, best = found.report(), found.best
    if as_json:
        summary = None if best is None else {"trial": best.number, **best.drawn, "score": best.score,
                                             "weights_sha256": best.weights_sha256}  # fmt: skip
        print(
            json.dumps(
                {"folder": str(folder), "trials": report.records(), "best": summary, "interrupted": found.interrupted}
            )
        )
    else:
        report.show()
    if best is not None:
        print(f"the best job: pipepita train {folder / 'best.toml'}", file=sys.stderr)
    if found.interrupted:
        print(f"to go on: pipepita tune --resume {folder}", file=sys.stderr)
