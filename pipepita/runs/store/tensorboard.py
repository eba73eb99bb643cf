"""A run's curves for TensorBoard, over the number of samples: the figures of each epoch, and the status every second.

TensorBoard is an optional dependency: pip install 'pipepita[tensorboard]'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipepita.errors import RunError, UserError
from pipepita.runs.listeners import Listener

if TYPE_CHECKING:
    from pipepita.runs.store.status import RunStatus

_FLUSH_SECONDS = 5
# TensorBoard's tag: the entry of the line in metrics.jsonl
_LINES = {
    "train/loss": "train_loss",
    "train/accuracy": "train_accuracy",
    "test/loss": "test_loss",
    "test/accuracy": "test_accuracy",
    **{f"{part}/{name}": f"{part}_{name}" for part in ("train", "test") for name in ("mae", "rmse", "r2")},
    "lr": "lr",
    "items_per_second": "items_per_second",
    # of an online run
    "online/accuracy": "accuracy",
    "online/sliding_accuracy": "sliding_accuracy",
    **{f"online/{name}": name for name in ("mae", "rmse", "r2", "sliding_mae")},
    "online/dropped": "dropped",
}


def check() -> None:
    """Raises `UserError` if TensorBoard is not installed, before anything long begins."""
    if find_spec("tensorboard") is None:
        raise _missing("is not installed")


class TensorBoard(Listener):
    """Writes scalars to event files in `folder`: at each epoch's end, and whenever it is shown the run's status.

    step: how many samples a resumed run has learnt from. What was drawn of later ones is removed, and drawn again.
    Raises `UserError` if TensorBoard cannot be imported or `folder` cannot be made, `RunError` if a write fails.
    """

    def __init__(self, folder: Path, step: int | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _missing(f"cannot be imported ({error})") from None
        # TensorBoard removes what it has at this step and later ones; an epoch's figures are drawn at its last step
        purge = None if step is None else step + 1
        try:
            self._writer = SummaryWriter(str(folder), purge_step=purge, flush_secs=_FLUSH_SECONDS)
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror}") from None
        self._folder, self._drawn = folder, step or 0

    def show(self, status: RunStatus) -> None:
        """Draws the running mean of the loss, the speed, and how the stages are."""
        # not when an epoch begins or ends, which may be often; samples that go through again were drawn already
        if status.state != "training" or not status.sample or status.step <= self._drawn:
            return
        self._drawn = status.step
        scalars = {"train/loss_running": status.loss, "samples_per_second": status.samples_per_second}
        for row in status.stages:
            name = f"stage/{row.stage}"
            scalars |= {f"{name}/busy": row.busy, f"{name}/queue": row.queue}
            scalars[f"{name}/memory_mb"] = None if row.memory is None else row.memory / 1e6
        self._draw(scalars, status.step)

    def epoch_ends(self, line: dict[str, Any]) -> None:
        self._draw({tag: line[entry] for tag, entry in _LINES.items() if entry in line}, line["step"])

    def end(self) -> None:
        with self._failing():
            self._writer.close()

    def _draw(self, scalars: dict[str, float | None], step: int) -> None:
        with self._failing():
            for tag, value in scalars.items():
                if value is not None:
                    self._writer.add_scalar(tag, value, step)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(f"cannot write {self._folder}: {error.strerror}") from None


def _missing(why: str) -> UserError:
    return UserError(f"tensorboard {why}: pip install 'pipepita[tensorboard]', or train without --tensorboard")
