"""One training run of an experiment: what it is, how it is run, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from pipepita.data import Data, load
from pipepita.errors import Diverged
from pipepita.experiments.probes import PROBES
from pipepita.experiments.whiten import whitened
from pipepita.machine import machine
from pipepita.network import spec
from pipepita.runs.display import Observer
from pipepita.runs.reading import read_job

_VERSION = 1  # of what an outcome holds


@dataclass(frozen=True)
class Cell:
    """A training run that says everything that its result depends on.

    row, column: where its result goes. options: fields of `Job` that are not at their defaults. items: how many
    training items, the first of a seeded shuffle; 0 is all. probe: of `probes.PROBES`, asked after each epoch.
    whiten: whether the inputs are ZCA-whitened. keep: whether the weights are kept, before and after.
    """

    row: str
    column: str
    options: dict[str, Any]
    epochs: int
    seed: int = 0
    items: int = 0
    probe: str | None = None
    whiten: bool = False
    keep: bool = False

    @property
    def name(self) -> str:
        """As people read it."""
        return f"{self.column} {self.row} seed {self.seed}"

    @property
    def key(self) -> str:
        """Of its outcome's file: a digest of everything above but the labels."""
        content = {name: value for name, value in asdict(self).items() if name not in ("row", "column")}
        return hashlib.sha256(json.dumps([_VERSION, content], sort_keys=True).encode()).hexdigest()[:16]

    @property
    def command(self) -> str | None:
        """The `pipepita train` command that trains the same; None where the data are cut or whitened."""
        if self.items or self.whiten:
            return None
        words = [
            f"--{key.replace('_', '-')}{'' if value is True else f' {value}'}" for key, value in self._job().items()
        ]
        return f"pipepita train {' '.join(words)} --engine local"

    def _job(self) -> dict[str, Any]:
        return {**self.options, "epochs": self.epochs, "seed": self.seed}

    @property
    def weight(self) -> float:
        """What it costs next to other cells, about: for the time left."""
        images = "conv" in str(self.options.get("network", ""))
        return self.epochs * (self.items or 50_000) * (6 if images else 1)


@dataclass
class Outcome:
    """What a cell came to. accuracies: test accuracy after each epoch, percent. probes: what the probe said, likewise.

    diverged: how it ended where it did not end well; absent: why it could not be run.
    """

    cell: Cell
    accuracies: list[float] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    diverged: str | None = None
    absent: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)  # "before" and "after", where kept

    @property
    def accuracy(self) -> float | None:
        """After the last epoch, percent."""
        return self.accuracies[-1] if self.accuracies and not self.diverged else None


class _Progress(Observer):
    def __init__(self, told: Callable[[int], None]) -> None:
        self._told, self._epochs = told, 0

    def warn(self, text: str) -> None:
        """Every cell would say it again."""

    def epoch_ends(self, line: dict[str, Any]) -> None:
        self._epochs += 1
        self._told(self._epochs)


def data_of(cell: Cell, data_dir: Path | None) -> Data:
    """The cell's data set, cut and whitened as it says."""
    job = read_job(None, cell.options, [])
    data = load(job.dataset, data_dir=data_dir)
    if cell.items and cell.items < len(data.x_train):
        data = data.first(cell.items, seed=0)
    return whitened(data) if cell.whiten else data


def run(cell: Cell, folder: Path, data_dir: Path | None, told: Callable[[int], None] = lambda epochs: None) -> None:
    """Trains `cell` in process and keeps its outcome in `folder`. told: the epochs done so far, after each."""
    from pipepita.runs.train import train

    job = read_job(None, cell._job(), [])
    data = data_of(cell, data_dir)
    model = job.model(data)
    spec.initialise(model, cell.seed)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rule = job.make_rule()
    probe = PROBES[cell.probe](model, data, rule, cell.seed) if cell.probe else None
    began, found = time.perf_counter(), Outcome(cell)
    try:
        result = train(
            model, data, rule=rule, engine="local", normalize=False, observer=_Progress(told), probe=probe,
            **job.options().model_dump(),
        )  # fmt: skip
        found.accuracies = [line["test_accuracy"] for line in result.history]
        found.probes = [line["probe"] for line in result.history if "probe" in line]
        found.about = {"weights_sha256": result.weights_sha256}
        if probe is not None:
            found.probes.insert(0, probe(before))
    except Diverged as error:
        found.diverged = str(error)
    found.about |= {"seconds": round(time.perf_counter() - began, 1), "command": cell.command, "machine": machine()}
    if cell.keep and not found.diverged:
        found.weights = {"before": before, "after": model.state_dict()}
    _write(found, folder)


def _write(found: Outcome, folder: Path) -> None:
    """The weights first: an outcome that is there is complete."""
    from safetensors.torch import save_file

    for when, tensors in found.weights.items():
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / f"{found.cell.key}.{when}.safetensors")
    content = {
        "cell": asdict(found.cell), "accuracies": found.accuracies, "probes": found.probes,
        "diverged": found.diverged, "about": found.about,
    }  # fmt: skip
    path = folder / f"{found.cell.key}.json"
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(content) + "\n")
    aside.replace(path)


def read(cell: Cell, folder: Path) -> Outcome | None:
    """The kept outcome of `cell`, or None where there is none, or one that cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / f"{cell.key}.json"
    try:
        content = json.loads(path.read_text())
        found = Outcome(cell, content["accuracies"], content["probes"], content["diverged"], about=content["about"])
        if cell.keep and not found.diverged:
            found.weights = {when: load_file(folder / f"{cell.key}.{when}.safetensors") for when in ("before", "after")}
        return found
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
