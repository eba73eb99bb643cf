"""When snapshots are written to the disk, and which checkpoint is the last good one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipepita.pipeline.state import State
from pipepita.pipeline.task import Task
from pipepita.runs.options.job import Options
from pipepita.runs.store.checkpoint import RESUMABLE, weights_sha256
from pipepita.runs.store.folder import RunFolder


class Keeper:
    """Writes the checkpoints of one run.

    folder: of the run; None writes nothing. last, step: the checkpoint that a resumed run goes on from, and its step.
    """

    def __init__(
        self, folder: RunFolder | None, task: Task, settings: Options, last: Path | None = None, step: int = -1
    ) -> None:
        self._folder, self._task, self._settings = folder, task, settings
        self._last, self._at_last = last, (step if last is not None else -1, None)
        self._at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last checkpoint was written so long ago that it is time for another."""
        return time.monotonic() - self._at >= self._settings.checkpoint_every

    def keep(self, state: State, about: dict[str, Any], resumable: bool = True) -> bool:
        """Writes a checkpoint, unless there is one of this step already. Returns whether it did.

        about: `Progress.about`, perhaps with more added; with another "position", the step does not count as the same.
        resumable: whether a run that goes on from it ends with the bits of an undisturbed run. `RunError` if it cannot
        be written.
        """
        where = about["step"], about.get("position")
        if self._folder is None or where == self._at_last:
            return False
        about = {**about, RESUMABLE: resumable, "weights_sha256": weights_sha256(self._task.weights(state))}
        self._last = self._folder.checkpoint(state, about, self._settings.keep_checkpoints)
        self._at_last, self._at = where, time.monotonic()
        return True

    def words(self) -> str:
        """Which checkpoint is the last, for the error that ends a run."""
        return "no checkpoint was kept" if self._last is None else f"the last good checkpoint is {self._last}"
