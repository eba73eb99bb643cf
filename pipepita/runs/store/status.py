"""How a run is right now: written about once a second, for `pipepita status` and whoever else watches."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipepita.errors import PipepitaError, StageDied, UserError
from pipepita.files import read_json
from pipepita.runs.listeners import Listener

if TYPE_CHECKING:
    from pipepita.pipeline.pulse import Pulse
    from pipepita.pipeline.stage import StageSpec
    from pipepita.pipeline.tally import Tally
    from pipepita.runs.progress import Progress
    from pipepita.runs.restart import Restart

SECONDS = 1.0  # from one status to the next

Phase = Literal["starting", "training", "evaluating", "restarting", "done", "interrupted", "failed"]
ENDED: tuple[Phase, ...] = ("done", "interrupted", "failed")


class StageStatus(BaseModel):
    """How one stage is. layers: their numbers, from 1. alive: None if it has not answered yet.

    The rest is from its last pulse: pid, of its process; step, the sample of its latest message, -1 before the first;
    queue, how many messages waited; busy, the share of the time that it worked, 0 to 1; memory, resident bytes.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    stage: int
    layers: list[int] = Field(min_length=1)
    device: str
    alive: bool | None = None
    pid: int | None = None
    step: int | None = None
    queue: int | None = None
    busy: float | None = None
    memory: int | None = None


class RunStatus(BaseModel):
    """How a run is: what status.json holds.

    Attributes:
        time: When this was so, in seconds since 1970.
        pid: Of the coordinator.
        epoch: The current one, from 1.
        sample: How many of this epoch's `samples` are done; those of a live stream are not known (None).
        loss, accuracy: In nats and percent: the means over those samples, or over the last epoch's if there are none.
        mae, rmse, r2: If numbers are predicted, these take the place of the accuracy, and the loss is half the squared
            error. mae and rmse are in the labels' own units.
        samples_per_second: Of the latest samples.
        restarts: So far.
        error: Why the run failed.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    state: Phase
    time: float
    pid: int
    epoch: int
    epochs: int
    sample: int
    samples: int | None
    samples_per_second: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    restarts: int = 0
    error: str | None = None
    stages: list[StageStatus] = []

    @property
    def step(self) -> int:
        """How many samples are done since the run began."""
        return (self.epoch - 1) * (self.samples or 0) + self.sample

    @property
    def eta(self) -> float | None:
        """The seconds of training that are left at the current rate; None if there is no rate yet, or no end."""
        if self.samples is None or not self.samples_per_second:
            return None
        return (self.epochs * self.samples - self.step) / self.samples_per_second


class Sink(Protocol):
    """Gets a run's status, like a file, a display or TensorBoard.

    Example:
        >>> from pipepita.runs.progress import Progress
        >>> class Printer:
        ...     def show(self, status):
        ...         print(f"{status.state}: sample {status.sample} of {status.samples}")
        >>> StatusListener(epochs=3, samples=10, progress=Progress()).add(Printer())
        starting: sample 0 of 10
    """

    def show(self, status: RunStatus) -> None:
        """Called about once a second, and whenever the run's phase changes.

        Args:
            status: How the run is now.
        """


class StatusListener(Listener):
    """Tells sinks how a run is.

    epochs: of the whole run. samples: of one epoch; None for a live stream. progress: where the run begins.
    """

    def __init__(self, epochs: int, samples: int | None, progress: Progress) -> None:
        epoch, sample = progress.epoch, progress.sample
        if epoch > epochs and samples is not None:  # nothing is left to do
            epoch, sample = epochs, samples
        self._sinks: list[Sink] = []
        self._pulses: Callable[[], Sequence[Pulse | None]] = list
        self._told_at = 0.0
        self._phase_before_fault: Phase = "starting"
        self._latest: Tally | None = None
        self._now = RunStatus(
            state="starting", time=time.time(), pid=os.getpid(), epoch=epoch, epochs=epochs, sample=sample,
            samples=samples,
        )  # fmt: skip

    def add(self, sink: Sink) -> None:
        """Adds a sink, and tells it how the run is now."""
        self._sinks.append(sink)
        sink.show(self._now)

    def watch(self, stages: Sequence[StageSpec], pulses: Callable[[], Sequence[Pulse | None]]) -> None:
        """Sets the stages of the pipeline. pulses: returns how each of them is, in their order."""
        self._pulses = pulses
        rows = [
            StageStatus(stage=stage.index, layers=[layer.number for layer in stage.layers], device=stage.device)
            for stage in stages
        ]
        self._tell(stages=rows)

    def epoch_begins(self, epoch: int, tally: Tally) -> None:
        self._tell(state="training", epoch=epoch, **_sums(tally))

    def sample(self, tally: Tally) -> None:
        self._latest = tally
        now = time.monotonic()
        if self._sinks and now - self._told_at >= SECONDS:
            self._told_at = now
            self._tell(state="training", stages=self._rows(), **_sums(tally))

    def evaluates(self, tally: Tally) -> None:
        self._tell(state="evaluating", stages=self._rows(), **_sums(tally))

    def lost(self, fault: PipepitaError) -> None:
        stage = fault.stage if isinstance(fault, StageDied) else None
        rows = [row.model_copy(update={"alive": False}) if row.stage == stage else row for row in self._now.stages]
        if self._now.state != "restarting":
            self._phase_before_fault = self._now.state
        self._tell(state="restarting", stages=rows)

    def restarted(self, restart: Restart) -> None:
        # the stages were built anew: their first pulses will say which of them are alive
        self._tell(
            state=self._phase_before_fault,
            restarts=restart.number,
            stages=[row.model_copy(update={"alive": None}) for row in self._now.stages],
        )

    def finished(self, outcome: str, error: str | None = None) -> None:
        self._tell(state=outcome, error=error, **({} if self._latest is None else _sums(self._latest)))

    def _tell(self, **changes: Any) -> None:
        self._now = self._now.model_copy(update={"time": round(time.time(), 3), **changes})
        for sink in self._sinks:
            sink.show(self._now)

    def _rows(self) -> list[StageStatus]:
        return [_row(*each) for each in zip(self._now.stages, self._pulses(), strict=True)]


def read_status(run_dir: Path) -> RunStatus | None:
    """The status.json of a run folder; None if there is none yet. `UserError` if it holds something else."""
    path = run_dir / "status.json"
    if not path.is_file():
        return None
    try:
        return RunStatus.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} does not hold a run's status: {where}: {first['msg'].lower()}") from None


def _sums(tally: Tally) -> dict[str, Any]:
    """The figures of an epoch so far. A loss that is NaN or infinite is left out, since JSON has neither."""
    figures: dict[str, Any] = {"sample": tally.steps}
    latest = tally.completed[-100:]
    if len(latest) > 1:
        figures["samples_per_second"] = round((len(latest) - 1) / (latest[-1] - latest[0]), 1)
    if math.isfinite(tally.loss):
        figures |= tally.rounded()
    return figures


def _row(before: StageStatus, pulse: Pulse | None) -> StageStatus:
    """The row of a stage after `pulse`. Without one, a stage that had answered before is lost; another is only new."""
    if pulse is None:
        return before.model_copy(update={"alive": None if before.alive is None else False})
    return before.model_copy(update={"alive": True, **vars(pulse), "busy": round(pulse.busy, 3)})
