"""Files: whether one can be written, writing one whole or not at all, and reading JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipepita.errors import UserError
from pipepita.extras import need


def check_writable(path: Path | None, option: str) -> None:
    """Raises `UserError` if `path` cannot be written as a file, before anything long begins."""
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
    """The same for a picture. It must also end in .png, .pdf or .svg, and matplotlib must be installed."""
    check_writable(path, option)
    if path is not None and path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UserError(f"{option} {path}: a picture ends in .png, .pdf or .svg")
    if path is not None:
        need(option, "matplotlib")


def check_folder(path: Path | None, option: str) -> None:
    """Raises `UserError` if `path` is something else than a folder."""
    if path is not None and path.exists() and not path.is_dir():
        raise UserError(f"{option} {path} is no folder: name another one")


def check_apart(files: Mapping[str, Path | None]) -> None:
    """Raises `UserError` if two options name the same file. files: by option."""
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if path is not None and (first := seen.setdefault(path.absolute(), option)) != option:
            raise UserError(f"{option} {path} is the file of {first}, too: name another one")


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file, whole or not at all; only a pipe, or a file whose folder takes no others, is written in place.

    `UserError` if it cannot be written.
    """
    path = path.resolve() if path.is_file() else path
    partial = path.with_name(f"{path.name}.partial")
    try:
        if path.exists() and not (path.is_file() and os.access(path.absolute().parent, os.W_OK)):
            path.write_bytes(content)  # a pipe, or a file in a folder where no other can be made
            return
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object from a file; `UserError` if the file is missing or holds none."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds {type(content).__name__}, not an object")
    return content
