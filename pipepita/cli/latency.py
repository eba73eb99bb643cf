"""`pipepita latency`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipepita.cli.options import name_written, with_options
from pipepita.cli.words import JSON_HELP
from pipepita.errors import UserError
from pipepita.files import check_apart, check_picture, check_writable
from pipepita.pipeline.pace import read_milliseconds
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import read_job

_FIELDS = (
    "network", "dataset", "data_dir", "batch_size", "stages", "window", "rule",
    "normalize", "activation", "dropout", "optimizer", "threads", "seed", "device", "address", "standard_ms",
    "modulated_ms",
)  # fmt: skip
_DEFAULTS = {"network": "fc:512x8", "dataset": "random:784", "dropout": 0.0}
_EMULATE = "sets --standard-ms and --modulated-ms at once"


@with_options(Job, _FIELDS, _DEFAULTS)
def latency(
    *,
    layers: Annotated[
        str | None,
        typer.Option(
            help="measure networks of these depths instead of --network, output layer included, like 2,4,8,16",
            rich_help_panel="Network and data",
        ),
    ] = None,
    width: Annotated[
        int, typer.Option(help="width of the hidden layers of --layers", rich_help_panel="Network and data")
    ] = 256,
    rules: Annotated[
        str | None,
        typer.Option(
            help="compare these rules instead of --rule: all, or several like pepita:modulate=input,bp,drtp",
            show_default=False,
            rich_help_panel="Rule",
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(help="how often all schedules are measured in turn", rich_help_panel="Measurement")
    ] = 5,
    seconds: Annotated[
        float, typer.Option(help="about how long one schedule takes in one round", rich_help_panel="Measurement")
    ] = 1.0,
    emulate_ms: Annotated[
        str | None, typer.Option(help=_EMULATE, show_default=False, rich_help_panel="Emulation")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="PNG, PDF or SVG file for a picture of speed-up against depth",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="JSON file for a trace of each schedule, for ui.perfetto.dev; of the last network or rule, if there "
            "are several",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(
            help="PNG, PDF or SVG file for a picture of a few samples of each schedule; of the last network or rule, "
            "if there are several",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP, rich_help_panel="Output")] = False,
    **given: Any,
) -> None:
    """Measure the schedules locked, relaxed and streaming side by side.

    Beside each measured speed-up stands the limit that no schedule can exceed on this network and this machine.
    """
    if emulate_ms is not None:
        if "standard_ms" in given or "modulated_ms" in given:
            raise UserError("--emulate-ms sets --standard-ms and --modulated-ms: leave these two out")
        read_milliseconds(emulate_ms, "--emulate-ms")
        given |= {"standard_ms": emulate_ms, "modulated_ms": emulate_ms}
    if layers is not None and "network" in given:
        raise UserError(f"--layers {layers} and --network {given['network']}: give one of them")
    if layers is not None and rules is not None:
        raise UserError(f"--layers {layers} and --rules {rules}: give one of them")
    if rules is not None and "rule" in given:
        raise UserError(f"--rules {rules} and --rule {given['rule']}: give one of them")
    job = read_job(None, _DEFAULTS | given, [])
    jobs = [(job.network, job)]
    if layers is not None:
        jobs = [(network, job.model_copy(update={"network": network})) for network in _networks(layers, width)]
    elif rules is not None:
        jobs = [(text, _with_rule(job, text)) for text in _each_rule(rules)]
    check_picture(plot, "--plot")
    check_writable(trace, "--trace")
    check_picture(timeline, "--timeline")
    check_apart({"--plot": plot, "--trace": trace, "--timeline": timeline})

    from pipepita.measurement.several import several
    from pipepita.progress import stoppable
    from pipepita.runs.display import progress
    from pipepita.runs.interrupt import Interrupt

    with Interrupt() as stop, progress("measuring") as show_progress:
        results = several(jobs, rounds=rounds, seconds=seconds, progress=stoppable(show_progress, stop))
    summaries = [result.summary for result in results]
    if plot is not None:
        from pipepita.measurement.show import plot as draw_plot

        draw_plot(summaries, plot)
    last = results[-1]
    if trace is not None:
        from pipepita.timeline import trace as traces

        traces.write(last.timelines, trace)
    if timeline is not None:
        from pipepita.timeline import gantt

        periods = {name: row["period_ms"] for name, row in last.summary["schedules"].items()}
        gantt.draw({f"{name}: {periods[name]:.3g} ms per sample": t for name, t in last.timelines.items()}, timeline)
    name_written((plot, trace, timeline))
    if as_json:
        several_of = "networks" if layers is not None else "rules" if rules is not None else None
        print(json.dumps(summaries[0] if several_of is None else {several_of: summaries}))
        return
    from pipepita.measurement.show import compare, show

    (show if rules is None else compare)(summaries)


def _each_rule(texts: str) -> list[str]:
    """The rules of `--rules`. "all" also holds the relatives of bp: their passes travel alike, but cost differently."""
    from pipepita.rules import BUILT_IN, split_several

    if texts == "all":
        return ["pepita:modulate=input", "pepita:modulate=all", *(name for name in BUILT_IN if name != "pepita")]
    return split_several(texts)


def _with_rule(job: Job, text: str) -> Job:
    """`job` with another rule."""
    changed: Job = read_job(None, job.model_dump(exclude_unset=True) | {"rule": text}, [])
    return changed


def _networks(layers: str, width: int) -> list[str]:
    try:
        depths = [int(depth) for depth in layers.split(",")]
    except ValueError:
        depths = [0]
    if min(depths) < 2:
        raise UserError(f"--layers {layers}: whole numbers of at least 2, like 2,4,8,16")
    return [f"fc:{width}x{depth - 1}" for depth in depths]
