"""The options that say how a job runs: in which order, where, on what it is made to look like, and what is written.

`runs.job` and `edge.scenario` are composed of these groups and of those in `learning`, and the command line's help has
one panel per kind of group. A new option is one field. Nothing here imports torch or Ray until a value is checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipepita.engines.ray import placement
from pipepita.engines.registry import ENGINES
from pipepita.errors import unknown
from pipepita.files import check_picture, check_writable
from pipepita.runs import tensorboard
from pipepita.runs.group import Group
from pipepita.schedule import SCHEDULES


class Window(Group):
    """How many samples are in flight."""

    panel: ClassVar[str] = "Schedule"

    window: int | None = Field(
        None,
        ge=1,
        description="samples in flight, for streaming (default: what fills the pipeline, but at most what the rule "
        "learns with by default, mostly 4)",
    )


class ScheduleChoice(Window):
    """The order of passes."""

    panel: ClassVar[str] = "Schedule"

    schedule: str = Field("relaxed", description="locked, relaxed or streaming", examples=[*SCHEDULES])

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        return self


class Places(Group):
    """Where stages run, and what becomes of lost ones."""

    panel: ClassVar[str] = "Engine"

    stages: int | None = Field(
        None, ge=1, description="contiguous groups of layers (default: one per layer with ray, else one)"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto, cpu or cuda; auto: one GPU per stage if there are enough"
    )
    threads: int = Field(
        1, ge=1, le=256, description="intra-op threads of each stage; their number is part of what decides the bits"
    )
    address: str | None = Field(
        None, description="an existing Ray cluster, host:port or auto (default: one of its own)"
    )
    placement: str = Field(
        "pack",
        description="of stages on nodes: pack, spread, one-per-host, or one node per stage: A,B,B",
        examples=[*placement.STRATEGIES],
    )
    max_restarts: int = Field(3, ge=0, description="how often lost stages are rebuilt and go on from the last snapshot")

    @model_validator(mode="after")
    def _placement(self) -> Self:
        placement.check(self.placement)
        return self


class EngineChoice(Group):
    """Who runs the stages."""

    panel: ClassVar[str] = "Engine"

    engine: str = Field("ray", description="local: one process; ray: one Ray actor per stage", examples=[*ENGINES])

    @model_validator(mode="after")
    def _engine(self) -> Self:
        if self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)
        return self


class Chain(Group):
    """A chain of small devices, and what goes wrong there."""

    panel: ClassVar[str] = "Emulation"

    devices: str | None = Field(None, description="emulate this chain, like rpi4*3,orin-nano: see `pipepita devices`")
    link: str | None = Field(
        None, description='between the devices: wifi, "delay 10ms rate 20mbit", or one per hop (default: wifi)'
    )
    assign: str | None = Field(None, description="layers of each device, like 2,1,1 (default: balanced)")
    trouble: str | None = Field(None, description="of devices and links: slow=4@10-20:2, pause@30-35, die~600/30:1")
    profiles: Path | None = Field(None, description="a TOML file of more devices and links")


class PassTimes(Group):
    """Devices of which only the time of a pass is known."""

    panel: ClassVar[str] = "Emulation"

    standard_ms: str | None = Field(
        None, description="emulate devices that take this long for the standard pass of a layer"
    )
    modulated_ms: str | None = Field(None, description="the same for the modulated pass; one number, or one per layer")


class Output(Group):
    """What is written, and how often."""

    panel: ClassVar[str] = "Output"

    run_dir: Path | None = Field(
        None, description="where metrics and checkpoints go; must not exist (default: a new folder in runs)"
    )
    snapshot_every: int | None = Field(
        None, ge=1, description="samples from one drained snapshot to the next (default: an epoch's)"
    )
    checkpoint_every: float = Field(60, ge=0, description="seconds from one snapshot on disk to the next, at least")
    keep_checkpoints: int = Field(3, ge=1, description="how many checkpoints stay on disk, the last ones")
    tensorboard: bool = Field(False, description="also write the run folder's curves for TensorBoard")
    trace: Path | None = Field(None, description="the latest samples for ui.perfetto.dev, as JSON")
    timeline: Path | None = Field(None, description="a few samples in steady state, as PNG")

    @model_validator(mode="after")
    def _writable(self) -> Self:
        check_writable(self.trace, "trace")
        check_picture(self.timeline, "timeline")
        if self.tensorboard:
            tensorboard.check()
        return self
