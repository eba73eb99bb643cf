"""The run folder: what was run, how it went, and the weights after each epoch. Never pickle.

    RUN_DIR/run.json                         network, data, rule and options
            metrics.jsonl                    one line an epoch
            checkpoints/step-00000938/       weights.safetensors  optimizer.safetensors  checkpoint.json
            result.json                      what the command printed

A checkpoint is written aside and renamed, so one that is there is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipepita.errors import RunError, UserError

_WEIGHTS, _OPTIMIZER, _ABOUT = "weights.safetensors", "optimizer.safetensors", "checkpoint.json"


def weights_sha256(state: dict[str, Tensor]) -> str:
    """SHA-256 over the tensors in order, each as little-endian float32 in C order."""
    digest = hashlib.sha256()
    for tensor in state.values():
        digest.update(np.ascontiguousarray(tensor.detach().cpu().to(torch.float32).numpy(), dtype="<f4").tobytes())
    return digest.hexdigest()


class RunFolder:
    """Writes one run's folder. Raises `UserError` if `path` exists or cannot be made, `RunError` if a write fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            there = "\0" in str(path) or path.exists() or path.is_symlink()
        except OSError as error:
            raise UserError(f"run folder {str(path)!r} cannot be: {error.strerror}") from None
        if "\0" in str(path):
            raise UserError(f"run folder {str(path)!r} cannot be: its name holds a null byte")
        if there:
            raise UserError(f"run folder {path} exists: name another with --run-dir, or remove it")

    def create(self, about: dict[str, Any]) -> None:
        """Makes the folder with its run.json; `about` must be JSON-able."""
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"cannot make run folder {self.path}: {error.strerror}") from None
        self._write("run.json", about)

    def metrics(self, line: dict[str, Any]) -> None:
        """Appends one line to metrics.jsonl."""
        try:
            with (self.path / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self.path / 'metrics.jsonl'}: {error.strerror}") from None

    def result(self, summary: dict[str, Any]) -> None:
        """Writes result.json."""
        self._write("result.json", summary)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        aside = self.path / f".{name}.partial"
        try:
            aside.write_text(json.dumps(content, indent=2) + "\n")
            aside.replace(self.path / name)
        except OSError as error:
            raise RunError(f"cannot write {self.path / name}: {error.strerror}") from None

    def checkpoint(
        self, step: int, weights: dict[str, Tensor], optimizer: dict[str, Tensor], about: dict[str, Any]
    ) -> Path:
        """Writes the checkpoint after `step` samples: complete or not at all."""
        from safetensors.torch import save_file

        final = self.path / "checkpoints" / f"step-{step:08d}"
        aside = final.with_name(f".{final.name}.partial")
        try:
            aside.mkdir(parents=True)
            save_file({k: v.contiguous() for k, v in weights.items()}, aside / _WEIGHTS)
            save_file({k: v.contiguous() for k, v in optimizer.items()}, aside / _OPTIMIZER)
            (aside / _ABOUT).write_text(json.dumps({"step": step, **about}, indent=2) + "\n")
            for file in aside.iterdir():
                _sync(file)
            aside.rename(final)
            _sync(final.parent)
        except Exception as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise RunError(f"cannot write checkpoint {final}: {error}") from None
        return final


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_run(path: Path) -> dict[str, Any]:
    """The run.json of a run folder; `UserError` where there is none."""
    if not (path / "run.json").is_file():
        raise UserError(f"{path} is not a run folder: it has no run.json")
    return read_json(path / "run.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; `UserError` where there is none."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds {type(content).__name__}, not an object")
    return content


def latest_checkpoint(path: Path) -> Path:
    """The last checkpoint of a run folder; `UserError` where there is none."""
    found = sorted((path / "checkpoints").glob("step-*"))
    if not found:
        raise UserError(f"{path} holds no checkpoint")
    return found[-1]


def read_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The weights of one checkpoint by state_dict key; `UserError` where they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(checkpoint / _WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{checkpoint / _WEIGHTS} cannot be read: {error}") from None
