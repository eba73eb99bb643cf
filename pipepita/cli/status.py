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

if TYPE_CHECKING:
    from rich.table import Table

_SECONDS = 1.0  # from one look to the next
_SILENCE_SECONDS = 10.0  # a run that goes on writes its status about every second
_ABOUT = ("network", "dataset", "rule", "schedule", "engine")


def status(
    run_dir: Annotated[
        Path | None, typer.Argument(help="a run folder (default: the newest in ./runs)", show_default=False)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="look again every second until the run has ended")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Show how a run is, and each of its stages, while it goes on or afterwards."""
    if watch and as_json:
        raise UserError("--watch and --json: give one of them")
    run_dir = run_dir or _newest(Path("runs"))
    if watch:
        _watch(run_dir)
    elif as_json:
        print(json.dumps(look(run_dir)))
    else:
        from rich.console import Console

        found = look(run_dir)
        console = Console(markup=False, highlight=False, emoji=False)
        console.print(_about(found), soft_wrap=True)
        console.print(_progress(found), soft_wrap=True)
        if found["stages"]:
            console.print(_table(found["stages"]))


def look(run_dir: Path) -> dict[str, Any]:
    """How a run is, for JSON: some of run.json, all of status.json, whether it lives, and the seconds that are left.

    age: seconds since the status was written. `UserError` for a folder that is none, or holds something else.
    """
    from pipepita.runs import folder as run_folder
    from pipepita.runs.status import ENDED, RunStatus, read_status

    about = run_folder.read_run(run_dir)
    living = run_folder.alive(run_dir)  # before the status: a run that ends just now has written its last one
    said = read_status(run_dir)
    if said is not None and (living or said.state in ENDED):
        state: str = said.state
    elif living:
        state = "starting"
    else:
        state = "done" if said is None and (run_dir / "result.json").is_file() else "dead"
    found: dict[str, Any] = {"run_dir": str(run_dir), **{key: about.get(key) for key in _ABOUT}, "living": living}
    # what there is none of is null
    found |= dict.fromkeys(RunStatus.model_fields) | (said.model_dump() if said is not None else {"stages": []})
    found |= {
        "state": state,
        "age": round(max(0.0, time.time() - said.time), 1) if said is not None else None,
        "eta": round(said.eta) if said is not None and said.eta is not None and living else None,
    }
    if not living:
        found["stages"] = [{**row, "alive": False} for row in found["stages"]]
    return found


def _newest(runs: Path) -> Path:
    """The run folder that was last begun, or gone on with."""
    found = [path.parent for path in runs.glob("*/run.json")]
    if not found:
        raise UserError(f"no run in {runs.absolute()}: name a run folder")
    return max(found, key=_touched)


def _touched(run_dir: Path) -> float:
    files = (run_dir / "run.json", run_dir / "status.json")
    return max(path.stat().st_mtime for path in files if path.exists())


def _watch(run_dir: Path) -> None:
    """Shows the run until it has ended; Ctrl-C is how one leaves, not an error."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    found = look(run_dir)
    try:
        if not sys.stdout.isatty():
            print(_about(found), flush=True)
            print(_progress(found), flush=True)
            while found["living"]:
                time.sleep(_SECONDS)
                found = look(run_dir)
                print(_progress(found), flush=True)
            return

        def shown() -> Group:
            return Group(Text(_about(found)), Text(_progress(found)), _table(found["stages"]))

        console = Console(markup=False, highlight=False, emoji=False)
        with Live(shown(), console=console, auto_refresh=False) as live:
            while found["living"]:
                time.sleep(_SECONDS)
                found = look(run_dir)
                live.update(shown(), refresh=True)
    except KeyboardInterrupt:
        return


def _about(found: dict[str, Any]) -> str:
    return _plain(f"{found['run_dir']}: {', '.join(str(found[key]) for key in _ABOUT if found[key])}")


def _progress(found: dict[str, Any]) -> str:
    """One line: what the run does, how far it is, and since when it has said nothing."""
    parts = [found["state"]]
    resume = f"go on with pipepita train --resume {found['run_dir']}"
    match found["state"]:
        case "dead":
            parts = [f"dead: killed or crashed; {resume}"]
        case "interrupted":
            parts = [f"interrupted; {resume}"]
        case "failed":
            parts = [f"failed: {found['error']}"]
    if found["epoch"] is not None:
        parts += [f"epoch {found['epoch']}/{found['epochs']}", f"sample {found['sample']}/{found['samples']}"]
    for key, words in (
        ("samples_per_second", "{:.0f} samples/s"), ("loss", "loss {:.4f}"), ("accuracy", "accuracy {:.2f} %"),
        ("restarts", "restarts {}"),
    ):  # fmt: skip
        if found[key] is not None:
            parts.append(words.format(found[key]))
    if found["eta"] is not None:
        parts.append(f"ETA {found['eta'] // 60}:{found['eta'] % 60:02d}")
    if found["age"] is not None:
        silent = found["living"] and found["age"] > _SILENCE_SECONDS
        parts.append(f"no word for {found['age']:.0f} s" if silent else f"{found['age']:.0f} s ago")
    return _plain("  ".join(parts))


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
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
    """Nothing in `text` moves a terminal's cursor, whoever wrote the files."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
