"""`pipepita simulate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipepita.cli.options import Assignments, name_written, with_options
from pipepita.cli.words import JSON_HELP
from pipepita.edge.scenario import Scenario
from pipepita.errors import RunError, UserError
from pipepita.extras import need
from pipepita.files import check_apart, check_picture, check_writable
from pipepita.runs.options.reading import read_job


@with_options(Scenario)
def simulate(
    scenario: Annotated[
        Path | None, typer.Argument(metavar="SCENARIO", help="TOML file with options", show_default=False)
    ] = None,
    *,
    validate: Annotated[
        bool,
        typer.Option(
            "--validate",
            help="also run the chain in real time on Ray, and show the differences",
            rich_help_panel="Simulation",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="PNG, PDF or SVG file for a picture of the curves and a few samples",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="HTML file for the whole report", show_default=False, rich_help_panel="Output"),
    ] = None,
    assignments: Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP, rich_help_panel="Output")] = False,
    **given: Any,
) -> None:
    """Simulate online learning on a chain of edge devices.

    The report says how many samples are served and how late, what that costs, and how well the network learns. It
    compares the schedules locked, relaxed, streaming and adaptive with the whole network on one of the devices. Only
    the time is simulated, the learning is real. Ray is not needed.
    """
    settings: Scenario = read_job(scenario, given, assignments or [], Scenario)
    if validate and settings.timing_only:
        raise UserError("--validate and --timing-only: a validation learns too, so give only one of them")
    check_picture(plot, "--plot")
    check_writable(page, "--page")
    check_apart({"--plot": plot, "--page": page})
    if page is not None:
        need("--page", "matplotlib")
    from pipepita.edge.report import tables
    from pipepita.edge.simulation import simulate as run
    from pipepita.edge.validation import Real
    from pipepita.edge.validation import validate as in_real_time
    from pipepita.progress import stoppable
    from pipepita.runs.display import progress
    from pipepita.runs.interrupt import Interrupt

    with Interrupt() as stop, progress("simulating") as show_progress:
        advance = stoppable(show_progress, stop)
        simulated = run(settings, advance, pictures=plot is not None or page is not None, stop=stop)
        real: list[Real] = in_real_time(simulated, advance, stop) if validate else []
    scored = tables.scores(simulated)
    if plot is not None:
        from pipepita.edge.report.picture import draw

        draw(simulated, scored, plot)
    if page is not None:
        from pipepita.edge.report.page import write

        write(simulated, scored, tables.rows(simulated, scored), page)
    if as_json:
        print(json.dumps(tables.summary(simulated, scored, real)))
    else:
        tables.show(simulated, scored, real)
    name_written((plot, page))
    for one in real:
        if not one.same_samples:
            print(
                f"warning: {one.outcome.setup.name}: {one.timing.served} samples entered in real time, "
                f"{one.outcome.timing.served} in the simulation: microseconds decide when the queue is full",
                file=sys.stderr,
            )
    if not all(one.same_weights or not one.same_samples for one in real):
        raise RunError("real time and simulation ended with different weights")
