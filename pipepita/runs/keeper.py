"""When snapshots go to the disk, and which of them was the last good one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipepita.pipeline.state import State
from pipepita.pipeline.task import Task
from pipepita.runs.checkpoint import RESUMABLE, weights_sha256
from pipepita.runs.folder import RunFolder
from pipepita.runs.job import Options


class Keeper:
    """Writes the checkpoints of one run.

    folder: None keeps nothing. last: the checkpoint that a resumed run goes on from, and the step that it is of.
    """

    def __init__(
        self, folder: RunFolder | None, task: Task, settings: Options, last: Path | None = None, step: int = -1
    ) -> None:
        self._folder, self._task, self._settings = folder, task, settings
        self._last, self._step = last, step if last is not None else -1
        self._at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last one was written so long ago that it is time for another."""
        return time.monotonic() - self._at >= self._settings.checkpoint_every

    def keep(self, state: State, about: dict[str, Any], resumable: bool = True) -> None:
        """Writes a checkpoint, unless it is there already. about: as `Progress.about`, perhaps with figures.

        resumable: whether going on from it leads to the bits of an undisturbed run. `RunError` if it cannot be written.
        """
        if self._folder is None or about["step"] == self._step:
            return
        about = {**about, RESUMABLE: resumable, "weights_sha256": weights_sha256(self._task.weights(state))}
        self._last = self._folder.checkpoint(state, about, self._settings.keep_checkpoints)
        self._step, self._at = about["step"], time.monotonic()

    def words(self) -> str:
        """What was kept, for the error that ends a run."""
        return "no checkpoint was kept" if self._last is None else f"the last good checkpoint is {self._last}"
