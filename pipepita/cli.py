"""The command line: parse, call the library, render. Results on stdout, everything else on stderr."""

from __future__ import annotations

import inspect
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pipepita.errors import PipepitaError
from pipepita.job import Job, read_job

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="PEPITA as a pipeline: two forward passes, no backward pass, and layers that do not wait for each other.",
)

_JSON_HELP = "print exactly one JSON object on stdout"
_INTERRUPTED = 130  # the shell's code for Ctrl-C


def _with_job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives `command` an option for every field of `Job`; it gets those that were given as `**given`."""
    parameters = [
        p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    for name, field in Job.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        # numbers stay text here: pydantic reads them, and its errors name the value
        kind = bool if field.annotation is bool else str
        names = [f"{option}/--no-{option[2:]}"] if kind is bool else [option]
        default = "" if field.default is None else f" [default: {field.default}]"
        annotation: Any = Annotated[
            kind | None,
            typer.Option(
                *names, help=f"{field.description}{default}", show_default=False, metavar=_metavar(field.annotation)
            ),
        ]
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _metavar(annotation: Any) -> str | None:
    words = {bool: None, int: "N", int | None: "N", float: "X"}
    return words.get(annotation, "TEXT")


@app.command()
@_with_job_options
def train(
    job: Annotated[Path | None, typer.Argument(help="a TOML file of options", show_default=False)] = None,
    *,
    assign: Annotated[list[str] | None, typer.Option("--set", help="key=value, over the file and the options")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
    **given: Any,
) -> None:
    """Train a network. Without options: digits, one hidden layer of 1024, one Ray actor a layer."""
    settings = read_job(job, {k: v for k, v in given.items() if v is not None}, assign or [])
    from pipepita.data import load
    from pipepita.display import display
    from pipepita.interrupt import Interrupt
    from pipepita.network import spec
    from pipepita.training import train as run

    data = load(settings.dataset, data_dir=settings.data_dir, download=settings.download)
    model = spec.build(
        settings.network, data.item_shape, data.classes,
        activation=settings.activation, dropout=settings.dropout, normal=settings.normalize,
    )  # fmt: skip
    options = settings.options().model_dump()
    options["run_dir"] = settings.run_dir or _run_dir(settings)
    about = {"network": settings.network, "data_dir": str(settings.data_dir) if settings.data_dir else None}
    with Interrupt() as stop:
        result = run(
            model,
            data,
            rule=settings.make_rule(),
            engine=settings.engine,
            observer=display(),
            stop=stop,
            about=about,
            **options,
        )
    summary = {key: value for key, value in result.summary.items() if key != "data_dir"}
    _show(summary, as_json, "trained" if not result.interrupted else "interrupted")
    if result.interrupted:
        raise typer.Exit(_INTERRUPTED)


def _run_dir(job: Job) -> Path:
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{Path(job.dataset).name}-{job.network}").strip("-")
    stem = Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{words}"
    path, again = stem, 1
    while path.exists():
        again += 1
        path = stem.with_name(f"{stem.name}-{again}")
    return path


@app.command()
def evaluate(
    run_dir: Annotated[Path, typer.Argument(help="a run folder", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="where the data sets are, if not where the run found them")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Measure a run's last checkpoint again."""
    from pipepita.training import evaluate as run

    _show(run(run_dir, data_dir=data_dir), as_json, "evaluated")


@app.command()
def schedule(
    layers: Annotated[int, typer.Option(help="layers of the network")] = 4,
    schedule: Annotated[str, typer.Option(help="locked, relaxed or streaming")] = "relaxed",
    window: Annotated[int | None, typer.Option(help="samples in flight (streaming)")] = None,
    modulate: Annotated[str, typer.Option(help="input: up the chain; all: every layer at once")] = "input",
    samples: Annotated[int, typer.Option(help="samples to show")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Show who does what in each slot, when every pass of every layer takes one slot."""
    from pipepita.clock import clock
    from pipepita.errors import unknown
    from pipepita.rules.pepita import MODULATES
    from pipepita.schedule import locked, make

    if modulate not in MODULATES:
        raise unknown("modulate", modulate, MODULATES)
    chosen = make(schedule, layers, window)
    broadcast = modulate == "all"
    shown = clock(chosen, layers, samples, broadcast=broadcast)
    settled = clock(chosen, layers, 8 * (chosen.window + layers), broadcast=broadcast).period
    baseline = clock(locked(), layers, 8, broadcast=broadcast).period
    if as_json:
        rows = [[str(cell) if cell else None for cell in row] for row in shown.rows]
        print(json.dumps({
            "schedule": chosen.name, "window": chosen.window, "layers": layers, "modulate": modulate, "rows": rows,
            "period_slots": settled, "locked_period_slots": baseline,
        }))  # fmt: skip
        return
    width = max(len(str(cell)) for row in shown.rows for cell in row if cell)
    print(" " * 10 + " ".join(f"{slot:<{width}}" for slot in range(len(shown.rows[0]))).rstrip())
    for number, row in enumerate(shown.rows, 1):
        print(
            f"layer {number:<4}"
            + " ".join(f"{cell!s:<{width}}" if cell else "." + " " * (width - 1) for cell in row).rstrip()
        )
    print(
        f"{chosen.name}, window {chosen.window}: one sample every {settled:g} slots; locked: {baseline:g} "
        f"({baseline / settled:.2f} times as fast, if every layer has a device of its own)"
    )


def _show(summary: dict[str, Any], as_json: bool, title: str) -> None:
    if as_json:
        print(json.dumps(summary))
        return
    from rich.console import Console

    Console().print(_table(summary, title))


def _table(summary: dict[str, Any], title: str) -> Table:
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in summary.items():
        if isinstance(value, dict):
            value = "  ".join(f"{k} {v}" for k, v in value.items())
        text = {"test_accuracy": "{} %", "wall_seconds": "{} s"}.get(key, "{}").format("-" if value is None else value)
        table.add_row(key.replace("_", " "), text)
    return table


def main() -> NoReturn:
    """The console script: exit code 0, 1 for a run that failed, 2 for a mistake in what was asked, 130 for Ctrl-C."""
    try:
        code = typer.main.get_command(app).main(prog_name="pipepita", standalone_mode=False)
    except PipepitaError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has gone
        code = 0
    except Exception as error:
        usage = getattr(error, "format_message", None)  # click's errors are the user's
        code = _fail(usage(), 2) if usage else _fail(f"{type(error).__name__}: {error}", 1)
    sys.exit(code or 0)


def _fail(text: str, code: int) -> int:
    if text:  # click's "no arguments" has shown the help and says nothing
        print(f"error: {' '.join(text.split())}", file=sys.stderr)
    return code
