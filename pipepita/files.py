"""Files that a run is asked to write."""

from __future__ import annotations

import os
from pathlib import Path

from pipepita.errors import UserError


def check_writable(path: Path | None, option: str) -> None:
    """`UserError` where `path` cannot become a file: said before anything long begins."""
    if path is None:
        return
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder: name a file")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UserError(f"{option} {path}: its folder does not exist")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UserError(f"{option} {path} cannot be written")


def check_picture(path: Path | None, option: str) -> None:
    """The same for a picture, whose suffix must be one that matplotlib can draw."""
    check_writable(path, option)
    if path is not None and path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UserError(f"{option} {path}: a picture ends in .png, .pdf or .svg")
