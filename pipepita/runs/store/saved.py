"""A run as its folder holds it: what it was built from. Written when the run begins; resume and evaluate read it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from pipepita import rules
from pipepita.data import Data, load
from pipepita.data.sets import is_named
from pipepita.errors import UserError
from pipepita.network import spec
from pipepita.network.modules import describe, rebuild
from pipepita.rules import Rule
from pipepita.rules.loading import source_sha256
from pipepita.runs.options.job import Options
from pipepita.runs.options.reading import checked
from pipepita.runs.progress import Progress, Resumption
from pipepita.runs.store.checkpoint import Checkpoint
from pipepita.runs.store.folder import RunFolder, last_checkpoint, read_run
from pipepita.version import __version__


def description(model: nn.Sequential, data: Data, rule: Rule, settings: Options, init: str) -> dict[str, Any]:
    """What run.json holds beside the summary, so that the run can be built again. init: how its weights were drawn."""
    # absolute, so that the run can be resumed in any folder
    absolute = {} if settings.profiles is None else {"profiles": settings.profiles.absolute()}
    return {
        "version": __version__,
        "torch": torch.__version__,
        "model": describe(model),
        "item_shape": list(data.item_shape),
        "classes": data.classes,
        **({"regression": True} if data.regression else {}),
        "data_sha256": data.fingerprint(),
        "rule_sha256": source_sha256(rule),
        "init": init,
        "options": settings.model_copy(update=absolute).model_dump(mode="json", exclude={"trace", "timeline"}),
    }


def run_folder(path: object) -> Path:
    """The path of a run's folder; `UserError` if it is no path."""
    if not isinstance(path, str | Path):
        raise UserError(f"run folder {path!r}: pass its path")
    return Path(path)


class SavedRun:
    """The run of a folder, with its last whole checkpoint.

    path: of the folder. about: its run.json. checkpoint: None if there is none yet. damaged: one line for each later
    checkpoint that is damaged.
    """

    def __init__(self, path: Path, about: dict[str, Any], checkpoint: Checkpoint | None, damaged: list[str]) -> None:
        self.path, self.about, self.checkpoint, self.damaged = path, about, checkpoint, damaged

    @classmethod
    def open(cls, path: str | Path, *, resumable: bool = False, online: bool = False) -> Self:
        """Reads a run folder. `UserError` if it is none, or if all of its checkpoints are damaged.

        resumable: take the last checkpoint from which a resumed run ends with the bits of an undisturbed one. online:
        whether it may be that of an online run.
        """
        path = run_folder(path)
        about = read_run(path)
        if about.get("command") == "online" and not online:
            raise UserError(
                f"{path} is the folder of an online run, which has no test items: go on with pipepita online --resume "
                f"{path}"
            )
        return cls(path, about, *last_checkpoint(path, resumable=resumable))

    @property
    def place(self) -> Path | None:
        """The path of the checkpoint."""
        return None if self.checkpoint is None else self.checkpoint.path

    @cached_property
    def model(self) -> nn.Sequential:
        """The network with the weights of the checkpoint, or those that the run began with."""
        with self._fits():
            model = rebuild(self.about["model"])
            if self.checkpoint is not None:
                model.load_state_dict(self.checkpoint.state().weights)
            elif self.about["init"] in spec.INITS:
                spec.initialise(model, int(self.about["options"]["seed"]), self.about["init"])
            else:
                raise UserError(
                    f"{self.path} holds no checkpoint, and its weights were not drawn from the seed: train anew"
                )
            return model

    def rule(self, given: Rule | None) -> Rule:
        """The run's learning rule with its options: `given`, or found again by its name."""
        with self._fits():
            return rules.again(self.about["rule"], self.about["rule_options"], given)

    def engine(self) -> str:
        """The name of the run's engine."""
        name = self.entry("engine")
        if not isinstance(name, str):
            raise UserError(f"{self.path} does not fit together: its engine is {name!r}")
        return name

    def settings(self, **changes: Any) -> Options:
        """The run's options. changes: these instead of its own."""
        with self._fits():
            options: Options = checked(Options, {**self.about["options"], "run_dir": str(self.path), **changes})
            return options

    def resumption(self, folder: RunFolder) -> Resumption:
        """Where the run goes on, according to its checkpoint and the lines in its folder."""
        if self.checkpoint is None:
            return Resumption(Progress())
        with self._fits():
            progress = Progress.of(self.checkpoint.about, folder.lines())
            return Resumption(progress, self.checkpoint.state(), self.checkpoint.path)

    def entry(self, name: str) -> Any:
        """The entry `name` of run.json; `UserError` if there is none."""
        with self._fits():
            return self.about[name]

    def data(self, given: Data | None, data_dir: str | Path | None) -> Data:
        """The run's data: `given`, or loaded by name from `data_dir` or from where the run found it.

        Without the items that it held out for validation, which it is tested on. `UserError` if it is other data, or
        if no name leads to it.
        """
        data = self._loaded(data_dir) if given is None else given
        data = data.validating(self.settings().validation)
        if data.fingerprint() != self.entry("data_sha256"):
            raise UserError(f"data {data.name!r} is not what {self.path} was trained on: pass the same")
        return data

    def _loaded(self, data_dir: str | Path | None) -> Data:
        name = self.entry("dataset")
        if not is_named(name):
            raise UserError(
                f"{self.path} was trained on data {name!r}, to which no name leads: pass them from Python, like "
                "pipepita.evaluate(run_dir, data)"
            )
        return load(name, data_dir=data_dir or self.about.get("data_dir"))

    @contextlib.contextmanager
    def _fits(self) -> Iterator[None]:
        """Raises `UserError` if run.json and the checkpoint do not go together, or hold something else than a run."""
        try:
            yield
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, RecursionError) as error:
            raise UserError(f"{self.path} does not fit together: {str(error).splitlines()[0]}") from None
