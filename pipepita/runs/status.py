"""How a run is right now: made about once a second, for `pipepita status` and whoever else watches."""

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
    """One stage. layers: their numbers, from 1. alive: None while it has not said anything yet.

    The rest is from its last pulse: step, the sample of its latest message, -1 before the first; queue, the messages
    that waited; busy, the share of the time from 0 to 1; memory, resident bytes.
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
    """A run: what status.json holds. time: when this was so, seconds since 1970. pid: of the coordinator.

    epoch: from 1. sample: how many of this epoch's `samples` have been learnt from; loss (nats) and accuracy (percent)
    are their means, or the last epoch's while there are none. samples_per_second: of the latest ones. error: why it
    failed.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    state: Phase
    time: float
    pid: int
    epoch: int
    epochs: int
    sample: int
    samples: int
    samples_per_second: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    restarts: int = 0
    error: str | None = None
    stages: list[StageStatus] = []

    @property
    def step(self) -> int:
        """How many samples have been learnt from since the run began."""
        return (self.epoch - 1) * self.samples + self.sample

    @property
    def eta(self) -> float | None:
        """Seconds of training that are left, at the rate of now; None where there is no rate."""
        return (self.epochs * self.samples - self.step) / self.samples_per_second if self.samples_per_second else None


class Sink(Protocol):
    """Where a run's status goes."""

    def show(self, status: RunStatus) -> None:
        """How the run is: about once a second, and whenever its phase changes."""


class StatusListener(Listener):
    """Tells sinks how a run is. epochs, samples: of the whole run, and of an epoch. progress: where it begins."""

    def __init__(self, epochs: int, samples: int, progress: Progress) -> None:
        epoch, sample = progress.epoch, progress.sample
        if epoch > epochs:  # nothing is left of it
            epoch, sample = epochs, samples
        self._sinks: list[Sink] = []
        self._pulses: Callable[[], Sequence[Pulse | None]] = list
        self._looked = 0.0
        self._before: Phase = "starting"  # the last fault
        self._now = RunStatus(
            state="starting", time=time.time(), pid=os.getpid(), epoch=epoch, epochs=epochs, sample=sample,
            samples=samples,
        )  # fmt: skip

    def add(self, sink: Sink) -> None:
        """One more to tell, beginning with how things are now."""
        self._sinks.append(sink)
        sink.show(self._now)

    def watch(self, stages: Sequence[StageSpec], pulses: Callable[[], Sequence[Pulse | None]]) -> None:
        """These stages make up the pipeline, and `pulses` says how each of them is."""
        self._pulses = pulses
        rows = [
            StageStatus(stage=stage.index, layers=[layer.number for layer in stage.layers], device=stage.device)
            for stage in stages
        ]
        self._tell(stages=rows)

    def epoch_begins(self, epoch: int, tally: Tally) -> None:
        self._tell(state="training", epoch=epoch, **_sums(tally))

    def sample(self, tally: Tally) -> None:
        now = time.monotonic()
        if self._sinks and now - self._looked >= SECONDS:
            self._looked = now
            self._tell(state="training", stages=self._rows(), **_sums(tally))

    def evaluates(self, tally: Tally) -> None:
        self._tell(state="evaluating", stages=self._rows(), **_sums(tally))

    def lost(self, fault: PipepitaError) -> None:
        stage = fault.stage if isinstance(fault, StageDied) else None
        rows = [row.model_copy(update={"alive": False}) if row.stage == stage else row for row in self._now.stages]
        if self._now.state != "restarting":
            self._before = self._now.state
        self._tell(state="restarting", stages=rows)

    def restarted(self, restart: Restart) -> None:
        # the stages are new, or built anew: which of them live is known with their first pulses
        self._tell(
            state=self._before,
            restarts=restart.number,
            stages=[row.model_copy(update={"alive": None}) for row in self._now.stages],
        )

    def finished(self, outcome: str, error: str | None = None) -> None:
        self._tell(state=outcome, error=error)

    def _tell(self, **changes: Any) -> None:
        self._now = self._now.model_copy(update={"time": round(time.time(), 3), **changes})
        for sink in self._sinks:
            sink.show(self._now)

    def _rows(self) -> list[StageStatus]:
        return [_row(*each) for each in zip(self._now.stages, self._pulses(), strict=True)]


def read_status(run_dir: Path) -> RunStatus | None:
    """The status.json of a run folder; None where there is none yet, `UserError` where it holds something else."""
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
    """What there is to say; JSON has neither NaN nor infinity."""
    found: dict[str, Any] = {"sample": tally.steps}
    latest = tally.completed[-100:]
    if len(latest) > 1:
        found["samples_per_second"] = round((len(latest) - 1) / (latest[-1] - latest[0]), 1)
    if math.isfinite(tally.loss):
        found |= {"loss": round(tally.loss, 6), "accuracy": round(tally.accuracy, 4)}
    return found


def _row(before: StageStatus, pulse: Pulse | None) -> StageStatus:
    """A stage that has answered once, and now does not, is lost; one that has not answered yet is only new."""
    if pulse is None:
        return before.model_copy(update={"alive": None if before.alive is None else False})
    return before.model_copy(update={"alive": True, **vars(pulse), "busy": round(pulse.busy, 3)})
