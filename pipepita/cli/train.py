"""`pipepita train` and `pipepita evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipepita.cli import INTERRUPTED
from pipepita.cli.options import Assignments, JobFile, RunToResume, show, with_options
from pipepita.cli.words import JSON_HELP
from pipepita.errors import UserError
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import read_changes, read_job

if TYPE_CHECKING:
    from pipepita.runs.result import Result


@with_options(Job)
def train(
    job: JobFile = None,
    *,
    assignments: Assignments = None,
    resume: RunToResume = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP, rich_help_panel="Output")] = False,
    **given: Any,
) -> None:
    """Train a network.

    Without options it trains one hidden layer of 1024 units on the digits data set, with one Ray actor per layer. A job
    file holds the same options, like epochs = 3 or batch-size = 16. Options given here override those of the file;
    --no-download, for example, switches off what the file switches on.
    """
    if resume is not None:
        _resume(resume, job, given, assignments or [], as_json)
        return
    settings = read_job(job, given, assignments or [])
    from pipepita.data import load
    from pipepita.edge.deploy import deployed
    from pipepita.runs.display import display
    from pipepita.runs.interrupt import Interrupt
    from pipepita.runs.store.folder import fresh
    from pipepita.runs.train import train as run

    data = load(settings.dataset, data_dir=settings.data_dir, download=settings.download)
    model = settings.model(data)
    options = settings.options().model_dump()
    options["run_dir"] = settings.run_dir or fresh(f"{Path(settings.dataset).name}-{settings.network}")
    about = {"network": settings.network, "data_dir": str(settings.data_dir.absolute()) if settings.data_dir else None}
    with Interrupt() as stop:
        result = run(
            model,
            data,
            rule=settings.make_rule(),
            engine=settings.engine,
            standardize=settings.standardize,
            init=settings.init,
            normalize=False,  # the model was built with the norms that the job asks for
            deploy=deployed,
            observer=display(),
            stop=stop,
            about=about,
            **options,
        )
    _show(result, as_json)


def _resume(run_dir: Path, job: Path | None, given: dict[str, Any], assignments: list[str], as_json: bool) -> None:
    """Goes on with a run. Only options that do not decide the bits may be given again."""
    if job is not None:
        raise UserError(f"job file {job}: --resume {run_dir} keeps the run's own job, so leave the file out")
    changes = read_changes(given, assignments)
    from pipepita.edge.deploy import deployed
    from pipepita.runs.display import display
    from pipepita.runs.interrupt import Interrupt
    from pipepita.runs.resume import CHANGEABLE, resume

    for name, value in changes.items():
        if name not in (*CHANGEABLE, "engine", "data_dir"):
            raise UserError(f"{name} {value!r}: --resume {run_dir} keeps the run's own, so leave it out")
    for name in ("engine", "data_dir"):
        if not isinstance(changes.get(name, ""), str):
            raise UserError(f"{name} {changes[name]!r} is not a name")

    with Interrupt() as stop:
        result = resume(run_dir, deploy=deployed, observer=display(), stop=stop, **changes)
    _show(result, as_json)


def _show(result: Result, as_json: bool) -> None:
    summary = {key: value for key, value in result.summary.items() if key != "data_dir"}
    show(summary, as_json, "trained" if not result.interrupted else "interrupted")
    if result.interrupted:
        print(f"go on with: pipepita train --resume {result.run_dir}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)


def evaluate(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="run folder", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="folder with the data sets (default: where the run found them)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Measure the accuracy of a run's last checkpoint again."""
    from pipepita.runs.evaluate import evaluate as run

    show(run(run_dir, data_dir=data_dir), as_json, "evaluated")
