"""`pipepita plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipepita.cli.options import name_written, with_options
from pipepita.cli.words import JSON_HELP
from pipepita.errors import RunError, UserError
from pipepita.extras import need
from pipepita.files import check_folder
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import read_job

_FIELDS = (
    "network", "dataset", "data_dir", "activation", "normalize", "dropout", "rule", "optimizer", "batch_size", "seed",
    "schedule", "window", "device", "threads", "address", "placement",
)  # fmt: skip
_DEFAULTS = {"schedule": "the fastest"}
_DEPTHS, _LINK, _SECONDS = "8,64,1000", "gigabit", 0.4
_HERE = ("schedule", "window", "address", "placement")  # about this machine or cluster, not about --devices


@with_options(Job, _FIELDS, _DEFAULTS)
def plan(
    *,
    seconds: Annotated[
        float | None,
        typer.Option(
            help=f"without --devices: about how long one run of the measurement takes (default: {_SECONDS})",
            show_default=False,
            rich_help_panel="Measurement",
        ),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            help="predict up to so many devices like this one, beside GPipe, 1F1B and data parallelism (2 to 1024)",
            show_default=False,
            rich_help_panel="Many devices",
        ),
    ] = None,
    depths: Annotated[
        str | None,
        typer.Option(
            help="with --devices: how many layers the networks have, up to 1000, all like the network's hidden ones "
            f"(default: {_DEPTHS})",
            show_default=False,
            rich_help_panel="Many devices",
        ),
    ] = None,
    link: Annotated[
        str | None,
        typer.Option(
            help=f'with --devices: the link between two, like wifi or "delay 50us rate 10gbit" (default: {_LINK})',
            show_default=False,
            rich_help_panel="Many devices",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="with --devices: folder for the table and the picture",
            show_default=False,
            rich_help_panel="Many devices",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP, rich_help_panel="Output")] = False,
    **given: Any,
) -> None:
    """Predict which number of stages trains fastest here, from what layers and messages are measured to cost.

    The measurement takes about ten seconds. The table shows milliseconds per sample for one process and for every
    number of stages, with every schedule, and what limits them. train --stages auto measures and chooses in the same
    way. With --devices it predicts what a cluster of such devices would do, next to ordinary ways to share the work.
    """
    job: Job = read_job(None, given, [])
    if devices is not None:
        for name, value in {"seconds": seconds, **{name: given.get(name) for name in _HERE}}.items():
            if value is not None:
                raise UserError(f"--{name} {value} means nothing with --devices: leave it out")
        _many(job, devices, _depths(depths or _DEPTHS), link or _LINK, out, as_json)
        return
    for option, value in {"--depths": depths, "--link": link, "--out": out}.items():
        if value is not None:
            raise UserError(f"{option} {value} is for --devices: give both, or neither")
    seconds = _SECONDS if seconds is None else seconds
    from pipepita.data import load
    from pipepita.measurement.plan import OPTIONS
    from pipepita.measurement.plan import plan as run
    from pipepita.progress import stoppable
    from pipepita.runs.display import progress
    from pipepita.runs.interrupt import Interrupt

    data = load(job.dataset, data_dir=job.data_dir, download=job.download)
    options = job.options().model_dump(include=set(OPTIONS))
    options["schedule"] = given.get("schedule")
    with Interrupt() as stop, progress("measuring") as show_progress:
        advance = stoppable(show_progress, stop)
        summary = run(job.model(data), data, rule=job.make_rule(), seconds=seconds, progress=advance, **options).summary
    summary = {"network": job.network, "dataset": data.name, **summary}
    if as_json:
        print(json.dumps(summary))
        return
    from pipepita.measurement.show_plan import show

    show(summary)


def _depths(text: str) -> list[int]:
    from pipepita.measurement.scaled import MOST_LAYERS

    try:
        depths = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        depths = [0]
    if not depths or min(depths) < 1 or max(depths) > MOST_LAYERS:
        raise UserError(f"--depths {text}: whole numbers from 1 to {MOST_LAYERS}, like 8,64,1000")
    return depths


def _many(job: Job, devices: int, depths: list[int], link: str, out: Path | None, as_json: bool) -> None:
    """Predictions for many devices: a table, and files if a folder is given."""
    from pipepita.data import load
    from pipepita.edge.devices.profiles import catalogue
    from pipepita.measurement import scaled
    from pipepita.planning.scale import Wire
    from pipepita.runs.display import progress

    if not 2 <= devices <= scaled.MOST_DEVICES:
        raise UserError(f"--devices {devices}: it must be from 2 to {scaled.MOST_DEVICES}")
    if out is not None:
        need("--out", "matplotlib")
        check_folder(out, "--out")
    found = catalogue().link(link)
    wire = Wire(found.delay, found.rate / 8)
    data = load(job.dataset, data_dir=job.data_dir, download=job.download)
    rule = job.make_rule()
    with progress("measuring") as advance:
        layer = scaled.measure(job.model(data), data, rule, job.options(), advance)
    settled = rule.settled(max(depths))
    predicted = scaled.predict(layer, depths, devices, job.batch_size, wire, settled)
    reports = scaled.reports(predicted, f"{job.network}, batch {job.batch_size}, {link}", wire)
    paths: list[Path] = []
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            paths = [path for name, report in reports.items() for path in report.write(out, name)]
    except OSError as error:
        raise RunError(f"cannot write in {out}: {error.strerror or error}") from None
    if as_json:
        tables = {name: report.records() for name, report in reports.items()}
        print(json.dumps({**tables, "files": [*map(str, paths)]}))
        return
    for report in reports.values():
        report.show()
    name_written(paths)
