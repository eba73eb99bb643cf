"""`pipepita export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipepita.cli.options import show
from pipepita.cli.words import JSON_HELP


def export(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="run folder", show_default=False)],
    onnx: Annotated[Path | None, typer.Option(help="file for ONNX (needs the extra onnx)", show_default=False)] = None,
    torch_export: Annotated[Path | None, typer.Option(help="file for torch.export.load", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Write the network of a run's last checkpoint, for inference elsewhere.

    What is written is checked first: it must give the checkpoint's own outputs.
    """
    from pipepita.runs.store.export import export as run

    show(run(run_dir, onnx=onnx, torch_export=torch_export), as_json, "exported")
