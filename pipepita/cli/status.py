"""`pipepita status`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipepita.cli.words import JSON_HELP
from pipepita.errors import UserError
from pipepita.report import plain_table

if TYPE_CHECKING:
    from rich.table import Table

_SECONDS = 1.0  # between two looks at the run
_SILENCE_SECONDS = 10.0  # a run that is going on writes its status about every second
_ABOUT = ("network", "dataset", "rule", "schedule", "engine")


def status(
    run_dir: Annotated[
        Path | None,
        typer.Argument(metavar="RUN_DIR", help="run folder (default: the newest in ./runs)", show_default=False),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="update every second until the run has ended")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Show how a run and its stages are, while it goes on or afterwards."""
    if watch and as_json:
        raise UserError("--watch and --json: give one of them")
    run_dir = run_dir or _newest(Path("runs"))
    if watch:
        _watch(run_dir)
    elif as_json:
        print(json.dumps(look(run_dir)))
    else:
        from rich.console import Console

        facts = look(run_dir)
        console = Console(markup=False, highlight=False, emoji=False)
        console.print(_about(facts), soft_wrap=True)
        console.print(_progress(facts), soft_wrap=True)
        if facts["stages"]:
            console.print(_table(facts["stages"]))


def look(run_dir: Path) -> dict[str, Any]:
    """How a run is, for JSON: a part of run.json, all of status.json, and more.

    living: whether the run is still going on. eta: the seconds that are left. age: the seconds since the status was
    written. `UserError` if `run_dir` is no run folder, or holds something else than a run's files.
    """
    from pipepita.runs.store import folder as run_folder
    from pipepita.runs.store.status import ENDED, RunStatus, read_status

    about = run_folder.read_run(run_dir)
    living = run_folder.alive(run_dir)  # before the status is read: a run that ends now has written its last one
    written = read_status(run_dir)
    if written is not None and (living or written.state in ENDED):
        state: str = written.state
    elif living:
        state = "starting"
    else:
        state = "done" if written is None and (run_dir / "result.json").is_file() else "dead"
    facts: dict[str, Any] = {"run_dir": str(run_dir), **{key: about.get(key) for key in _ABOUT}, "living": living}
    facts["command"] = about.get("command", "train")
    # what is not known is null
    facts |= dict.fromkeys(RunStatus.model_fields) | (written.model_dump() if written is not None else {"stages": []})
    facts |= {
        "state": state,
        "age": round(max(0.0, time.time() - written.time), 1) if written is not None else None,
        "eta": round(written.eta) if written is not None and written.eta is not None and living else None,
    }
    if not living:
        facts["stages"] = [{**row, "alive": False} for row in facts["stages"]]
    return facts


def _newest(runs: Path) -> Path:
    """The run folder in `runs` in which something was written last."""
    folders = [path.parent for path in runs.glob("*/run.json")]
    if not folders:
        raise UserError(f"no run in {runs.absolute()}: name a run folder")
    return max(folders, key=_last_written)


def _last_written(run_dir: Path) -> float:
    files = (run_dir / "run.json", run_dir / "status.json")
    return max(path.stat().st_mtime for path in files if path.exists())


def _watch(run_dir: Path) -> None:
    """Shows the run until it has ended. Ctrl-C leaves, and is no error."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    facts = look(run_dir)
    try:
        if not sys.stdout.isatty():
            print(_about(facts), flush=True)
            print(_progress(facts), flush=True)
            while facts["living"]:
                time.sleep(_SECONDS)
                facts = look(run_dir)
                print(_progress(facts), flush=True)
            return

        def shown() -> Group:
            return Group(Text(_about(facts)), Text(_progress(facts)), _table(facts["stages"]))

        console = Console(markup=False, highlight=False, emoji=False)
        with Live(shown(), console=console, auto_refresh=False) as live:
            while facts["living"]:
                time.sleep(_SECONDS)
                facts = look(run_dir)
                live.update(shown(), refresh=True)
    except KeyboardInterrupt:
        return


def _about(facts: dict[str, Any]) -> str:
    return _plain(f"{facts['run_dir']}: {', '.join(str(facts[key]) for key in _ABOUT if facts[key])}")


def _progress(facts: dict[str, Any]) -> str:
    """One line: what the run does, how far it is, and how old this information is."""
    parts = [facts["state"]]
    resume = f"go on with pipepita {facts['command']} --resume {facts['run_dir']}"
    match facts["state"]:
        case "dead":
            parts = [f"dead: killed or crashed; {resume}"]
        case "interrupted":
            parts = [f"interrupted; {resume}"]
        case "failed":
            parts = [f"failed: {facts['error']}"]
    if facts["epoch"] is not None:
        if facts["samples"] is None:
            parts += [f"{facts['sample']} samples"]
        else:
            parts += [f"epoch {facts['epoch']}/{facts['epochs']}", f"sample {facts['sample']}/{facts['samples']}"]
    for key, words in (
        ("samples_per_second", "{:.0f} samples/s"), ("loss", "loss {:.4f}"), ("accuracy", "accuracy {:.2f} %"),
        ("r2", "R2 {:.3f}"), ("mae", "MAE {:.4g}"),        ("restarts", "restarts {}"),
    ):  # fmt: skip
        if facts[key] is not None:
            parts.append(words.format(facts[key]))
    if facts["eta"] is not None:
        parts.append(f"ETA {facts['eta'] // 60}:{facts['eta'] % 60:02d}")
    if facts["age"] is not None:
        silent = facts["living"] and facts["age"] > _SILENCE_SECONDS
        parts.append(f"no word for {facts['age']:.0f} s" if silent else f"{facts['age']:.0f} s ago")
    return _plain("  ".join(parts))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = plain_table()
    for words in ("stage", "layers", "device", "alive", "step", "queue", "busy", "memory", "pid"):
        table.add_column(words, justify="left" if words in ("device", "alive") else "right", no_wrap=True)
    for row in rows:
        first, last = row["layers"][0], row["layers"][-1]
        cells = {
            "layers": f"{first}-{last}" if first != last else first,
            "alive": {True: "yes", False: "no", None: None}[row["alive"]],
            "busy": f"{100 * row['busy']:.0f} %" if row["busy"] is not None else None,
            "memory": f"{row['memory'] / 1e6:.0f} MB" if row["memory"] is not None else None,
        }
        texts = [(row | cells)[column.header] for column in table.columns]
        table.add_row(*("-" if text is None else _plain(str(text)) for text in texts))
    return table


def _plain(text: str) -> str:
    """`text` with control characters written out: nothing in the files may move the terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
