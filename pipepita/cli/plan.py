"""`pipepita plan`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pipepita.cli.options import with_options
from pipepita.cli.words import JSON_HELP
from pipepita.runs.job import Job
from pipepita.runs.reading import read_job

_FIELDS = (
    "network", "dataset", "data_dir", "activation", "normalize", "dropout", "rule", "optimizer", "batch_size", "seed",
    "schedule", "window", "device", "threads", "address", "placement",
)  # fmt: skip
_DEFAULTS = {"schedule": "the fastest"}


@with_options(Job, _FIELDS, _DEFAULTS)
def plan(
    *,
    seconds: Annotated[
        float, typer.Option(help="about how long one of up to nine runs takes", rich_help_panel="Measurement")
    ] = 0.4,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP, rich_help_panel="Output")] = False,
    **given: Any,
) -> None:
    """Predict which number of stages trains fastest here, from what layers and messages are measured to cost.

    The measurement takes about ten seconds. The table shows milliseconds per sample for one process and for every
    number of stages, with every schedule, and what limits them. train --stages auto measures and chooses in the same
    way.
    """
    given = {key: value for key, value in given.items() if value is not None}
    job: Job = read_job(None, given, [])
    from pipepita.data import load
    from pipepita.measurement.plan import OPTIONS
    from pipepita.measurement.plan import plan as run
    from pipepita.runs.display import progress
    from pipepita.runs.interrupt import Interrupt

    data = load(job.dataset, data_dir=job.data_dir, download=job.download)
    options = job.options().model_dump(include=set(OPTIONS))
    options["schedule"] = given.get("schedule")
    with Interrupt() as stop, progress("measuring") as show_progress:

        def advance(done: int, total: int, what: str) -> None:
            if stop():
                raise KeyboardInterrupt
            show_progress(done, total, what)

        summary = run(job.model(data), data, rule=job.make_rule(), seconds=seconds, progress=advance, **options).summary
    summary = {"network": job.network, "dataset": data.name, **summary}
    if as_json:
        print(json.dumps(summary))
        return
    from pipepita.measurement.show_plan import show

    show(summary)
