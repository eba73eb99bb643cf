"""Checkpoints: complete or absent, with checksums, and never pickle.

    checkpoints/step-00000938/   weights.safetensors    by state_dict key
                                 optimizer.safetensors  by layer and name
                                 memory.safetensors     what else the learning rule keeps
                                 checkpoint.json        where in the run this is, and how the run had gone until then
                                 SHA256SUMS             of all these files; `sha256sum -c` checks them from a shell

A checkpoint is written under a name with a leading dot, synced, and then renamed. So one without the dot is complete,
unless the disk has damaged it. Then its checksums differ, and the checkpoint before it is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipepita.errors import RunError, UserError
from pipepita.files import read_json, sync
from pipepita.pipeline.state import State

log = logging.getLogger(__name__)
_WEIGHTS, _OPTIMIZER, _MEMORY = "weights.safetensors", "optimizer.safetensors", "memory.safetensors"
_ABOUT, _SUMS = "checkpoint.json", "SHA256SUMS"
_ALL = (_WEIGHTS, _OPTIMIZER, _MEMORY, _ABOUT)
RESUMABLE = "resumable"  # in checkpoint.json: whether a run that goes on from it ends with an undisturbed run's bits


def weights_sha256(state: dict[str, Tensor]) -> str:
    """SHA-256 over the tensors in their order, each as little-endian float32 in C order."""
    digest = hashlib.sha256()
    for tensor in state.values():
        digest.update(np.ascontiguousarray(tensor.detach().cpu().to(torch.float32).numpy(), dtype="<f4").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose checksums are right.

    Attributes:
        about: Its checkpoint.json.
    """

    path: Path
    about: dict[str, Any]

    def state(self) -> State:
        """All that the stages had learnt; `UserError` if it cannot be read."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return State(*(load_file(self.path / name) for name in (_WEIGHTS, _OPTIMIZER, _MEMORY)))
        except (OSError, SafetensorError) as error:
            raise UserError(f"checkpoint {self.path} cannot be read: {error}") from None


def write(folder: Path, state: State, about: dict[str, Any], keep: int) -> Path:
    """Writes the checkpoint of step `about["step"]` into `folder`, whole or not at all, and removes old ones.

    The last `keep` stay, and the last one from which a run can be resumed. `RunError` if it cannot be written.
    """
    from safetensors.torch import save_file

    final = folder / f"step-{about['step']:08d}"
    partial = folder / f".{final.name}.partial"
    try:
        for leftover in folder.glob(".step-*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        if not folder.exists():
            folder.mkdir()
            sync(folder.parent)
        partial.mkdir()
        for name, tensors in zip((_WEIGHTS, _OPTIMIZER, _MEMORY), state, strict=True):
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, partial / name)
        (partial / _ABOUT).write_text(json.dumps(about, indent=2) + "\n")
        (partial / _SUMS).write_text("".join(f"{_sha256(partial / name)}  {name}\n" for name in _ALL))
        for file in (*partial.iterdir(), partial):
            sync(file)
        if final.exists():
            _discard(final)
        partial.rename(final)
        sync(folder)
    except Exception as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RunError(f"cannot write checkpoint {final}: {reason}") from None
    _remove_old(final, keep)
    return final


def _remove_old(last: Path, keep: int) -> None:
    """Removes all but the `keep` latest checkpoints up to `last`, and but the last one that can be resumed from.

    A checkpoint of a later step than `last` must be damaged, since the run went back; so it does not count.
    """
    paths = [path for path in _all(last.parent) if _step(path) <= _step(last)]
    for position, path in enumerate(paths[keep:], start=keep):
        if any(_about(newer).get(RESUMABLE) for newer in paths[:position]):
            _discard(path)


def _about(path: Path) -> dict[str, Any]:
    try:
        return read_json(path / _ABOUT)
    except UserError:
        return {}


def _discard(path: Path) -> None:
    """Removes a checkpoint. It is renamed first, so that half of it is never taken for a checkpoint."""
    renamed = path.with_name(f".{path.name}.gone")
    try:
        path.rename(renamed)
    except OSError as error:
        log.warning("cannot remove checkpoint %s: %s", path, error.strerror)
    shutil.rmtree(renamed, ignore_errors=True)


def newest(folder: Path, *, resumable: bool = False) -> tuple[Checkpoint | None, list[str]]:
    """The last whole checkpoint in `folder`, or None; and for each later one that is damaged a line that says how.

    resumable: only one from which a resumed run ends with the bits that it would have had without the interruption.
    `UserError` if there are checkpoints, but all that would do are damaged.
    """
    damaged: list[str] = []
    for path in _all(folder):
        try:
            checkpoint = Checkpoint(path, _checked(path))
        except ValueError as error:
            damaged.append(f"checkpoint {path} is damaged: {error}")
            continue
        if not resumable or checkpoint.about.get(RESUMABLE):
            return checkpoint, damaged
    if damaged:
        raise UserError(f"{len(damaged)} checkpoints in {folder} are damaged, and no other will do: {damaged[0]}")
    return None, damaged


def _all(folder: Path) -> list[Path]:
    """Every checkpoint, the latest first."""
    return sorted((path for path in folder.glob("step-*") if path.name[5:].isdecimal()), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _checked(path: Path) -> dict[str, Any]:
    """The checkpoint.json of `path`. `ValueError` if any of its files is not as it was written."""
    try:
        sums = dict(line.split("  ")[::-1] for line in (path / _SUMS).read_text().splitlines())
    except (OSError, ValueError):
        raise ValueError(f"its {_SUMS} is missing or cannot be read") from None
    for name in _ALL:
        try:
            if sums.get(name) != _sha256(path / name):
                raise ValueError(f"{name} is not what was written (its SHA-256 differs)")
        except OSError as error:
            raise ValueError(f"{name} cannot be read ({error.strerror})") from None
    return read_json(path / _ABOUT)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
