"""One training run of an experiment: what it is, how it is run, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
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
from pipepita.runs.options.reading import read_job

_VERSION = 2  # of what an outcome holds; raise it if an outcome kept by an older version would mislead


@dataclass(frozen=True)
class Items:
    """What a cell learns from, of its data set.

    Attributes:
        first: How many training items, the first of a shuffle that is always the same; 0 means all.
        whitened: Whether the inputs are ZCA-whitened.
        held_out: Which share of the training items is tested on, in place of the test items, and not learnt from.
    """

    first: int = 0
    whitened: bool = False
    held_out: float = 0.0

    def of(self, data: Data) -> Data:
        """These items of `data`."""
        data = data.validating(self.held_out)
        if self.first and self.first < data.items.train_items:
            data = data.first(self.first, seed=0)
        return whitened(data) if self.whitened else data


ALL = Items()


@dataclass(frozen=True)
class Cell:
    """A training run, with everything that its result depends on.

    Attributes:
        row: The row of the table in which its result stands.
        column: The column.
        options: Fields of `Job` that are not at their defaults. Whatever the defaults choose by the network's depth or
            by the rule is spelled out, so that the same cell is trained when defaults change.
        epochs: Passes over the items.
        seed: Decides weights, feedback, dropout and order.
        items: What it learns from, of its data set.
        probe: A name of `probes.PROBES`, which is asked after each epoch.
        keep: Whether the weights before and after training are kept.
    """

    row: str
    column: str
    options: dict[str, Any]
    epochs: int
    seed: int = 0
    items: Items = ALL
    probe: str | None = None
    keep: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.column} {self.row} seed {self.seed}"

    @property
    def key(self) -> str:
        """Names its outcome's file: a digest of everything above except row and column."""
        content = {name: value for name, value in asdict(self).items() if name not in ("row", "column")}
        if not self.items.held_out:  # so that cells that were trained before it was there keep their names
            del content["items"]["held_out"]
        return hashlib.sha256(json.dumps([_VERSION, content], sort_keys=True).encode()).hexdigest()[:16]

    @property
    def command(self) -> str | None:
        """The `pipepita train` command that trains the same; None if no command does, as for a part of the items."""
        if self.items != ALL:
            return None
        return f"pipepita train {' '.join(_words(key, value) for key, value in self._job().items())} --engine local"

    def _job(self) -> dict[str, Any]:
        return {**self.options, "epochs": self.epochs, "seed": self.seed}

    @property
    def weight(self) -> float:
        """About how long it takes, relative to other cells: the longest begin first, and progress is shown by it."""
        layers = 6 if "conv" in str(self.options.get("network", "")) else 1
        classes = 100 if self.options.get("dataset") == "cifar100" else 10
        # gevb keeps a number per class in each unit
        vectors = classes if str(self.options.get("rule", "")).startswith("gevb") else 1
        return float(self.epochs * (self.items.first or 50_000) * layers * vectors)


def _words(key: str, value: Any) -> str:
    """An option as the command line takes it."""
    option = key.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {shlex.quote(str(value))}"


@dataclass
class Outcome:
    """The result of a cell.

    Attributes:
        cell: The cell.
        accuracies: Accuracy on the test items, or on those held out in their place, after each epoch, percent.
        probes: What the probe returned before training and after each epoch.
        diverged: The error, if the run diverged.
        absent: Why the cell could not be run, if it could not.
        about: The digest of the weights, the command, the machine, and how long it took.
        weights: "before" and "after", if the cell keeps them.
    """

    cell: Cell
    accuracies: list[float] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    diverged: str | None = None
    absent: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float | None:
        """After the last epoch, percent; None if the run diverged, or there was none."""
        return self.accuracies[-1] if self.accuracies and not self.diverged else None


class _Progress(Observer):
    """Passes on how many epochs are done."""

    def __init__(self, epochs_done: Callable[[int], None]) -> None:
        self._epochs_done, self._epochs = epochs_done, 0

    def warn(self, text: str) -> None:
        """Nothing: every cell would repeat the same warning."""

    def epoch_ends(self, line: dict[str, Any]) -> None:
        self._epochs += 1
        self._epochs_done(self._epochs)


def data_of(cell: Cell, data_dir: Path | None) -> Data:
    """The items of its data set that the cell learns from."""
    job = read_job(None, cell.options, [])
    return cell.items.of(load(job.dataset, data_dir=data_dir))


def run(
    cell: Cell, folder: Path, data_dir: Path | None, epochs_done: Callable[[int], None] = lambda epochs: None
) -> None:
    """Trains `cell` in this process and keeps its outcome in `folder`, also if it diverges.

    epochs_done: called after each epoch with how many are done. `UserError` or `RunError` if it cannot be trained.
    """
    from pipepita.runs.train import train

    job = read_job(None, cell._job(), [])
    data = data_of(cell, data_dir)
    model = job.model(data)
    spec.initialise(model, cell.seed, job.init)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rule = job.make_rule()
    probe = PROBES[cell.probe](model, data, rule, cell.seed) if cell.probe else None
    began, outcome = time.perf_counter(), Outcome(cell)
    try:
        result = train(
            model, data, rule=rule, engine="local", normalize=False, standardize=job.standardize, init=job.init,
            probe=probe,
            observer=_Progress(epochs_done),
            **job.options().model_dump(),
        )  # fmt: skip
        outcome.accuracies = [line["test_accuracy"] for line in result.history]
        outcome.probes = [line["probe"] for line in result.history if "probe" in line]
        outcome.about = {"weights_sha256": result.weights_sha256}
        if data.file is not None:
            outcome.about["read_from"] = data.file.name
        if probe is not None:
            outcome.probes.insert(0, probe(before))
    except Diverged as error:
        outcome.diverged = str(error)
    outcome.about |= {"seconds": round(time.perf_counter() - began, 1), "command": cell.command, "machine": machine()}
    if cell.keep and not outcome.diverged:
        outcome.weights = {"before": before, "after": model.state_dict()}
    _write(outcome, folder)


def _write(outcome: Outcome, folder: Path) -> None:
    """Writes the weights first, so that an outcome whose file exists is complete."""
    from safetensors.torch import save_file

    for when, tensors in outcome.weights.items():
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / f"{outcome.cell.key}.{when}.safetensors")
    content = {
        "cell": asdict(outcome.cell), "accuracies": outcome.accuracies, "probes": outcome.probes,
        "diverged": outcome.diverged, "about": outcome.about,
    }  # fmt: skip
    path = folder / f"{outcome.cell.key}.json"
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(content) + "\n")
    aside.replace(path)


def read(cell: Cell, folder: Path) -> Outcome | None:
    """The kept outcome of `cell`, or of the same cell with weights; None if there is none, or if it cannot be read."""
    outcome = _read(cell, folder)
    if outcome is None and not cell.keep and (twin := _read(replace(cell, keep=True), folder)) is not None:
        outcome = replace(twin, cell=cell, weights={})
    return outcome


def _read(cell: Cell, folder: Path) -> Outcome | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / f"{cell.key}.json"
    try:
        content = json.loads(path.read_text())
        outcome = Outcome(cell, content["accuracies"], content["probes"], content["diverged"], about=content["about"])
        if cell.keep and not outcome.diverged:
            outcome.weights = {
                when: load_file(folder / f"{cell.key}.{when}.safetensors") for when in ("before", "after")
            }
        return outcome
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
