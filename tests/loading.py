"""Data sets of torch as people write them, here, since worker processes import them. And who reads them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset


class Noisy(Dataset):
    """Items with noise from the three global generators. log: a file that gets one letter for each item read."""

    def __init__(self, items: int = 50, log: Path | None = None) -> None:
        self.items, self.log = items, log

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write("x")
        x = torch.linspace(0, index / self.items, 12)
        return x + torch.rand(12) + float(np.random.rand()) + random.random(), index % 10


class Faulty(Dataset):
    """Sound items but for number 7, which is `item`; or which is raised, if it is an error; or ends the process."""

    def __init__(self, item: object) -> None:
        self.item = item

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> object:
        if index != 7:
            return np.full(4, index, np.uint8), index % 2
        if isinstance(self.item, signal.Signals):
            os.kill(os.getpid(), self.item)
        if isinstance(self.item, Exception):
            raise self.item
        return self.item


def workers_of(folder: str | None = None) -> list[int]:
    """The worker processes of this process, or those of a run that has `folder` as its TMPDIR."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"spawn_main" not in (process / "cmdline").read_bytes():
                continue
            if folder is None:
                ours = f"PPid:\t{os.getpid()}\n" in (process / "status").read_text()
            else:
                ours = f"TMPDIR={folder}\0".encode() in (process / "environ").read_bytes()
            found += [int(process.name)] * ours
    return found


def same(samples: Iterable[Any], others: Iterable[Any]) -> bool:
    """Whether two lists of samples are equal to the bit."""
    return all(torch.equal(a, b) and torch.equal(p, q) for (a, p), (b, q) in zip(samples, others, strict=True))


def seed_all() -> None:
    """Seeds the three global generators."""
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)


def drawn() -> tuple[float, float, float]:
    """One number from each of the three global generators."""
    return random.random(), np.random.rand(), float(torch.rand(1))


def pair(x: object = None, y: object = 0) -> tuple[object, object]:
    """An item: four zeros and label 0, if nothing else is said."""
    return np.zeros(4, np.float32) if x is None else x, y
