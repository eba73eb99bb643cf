"""The options that say how a job runs: on which schedule, where, on which emulated devices, and what is written.

`runs.job` and `edge.scenario` are composed of these groups and of those in `learning`. The command line's help shows
each group in its panel. A new option is one field. Nothing here imports torch or Ray until a value is checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipepita.engines.ray import placement
from pipepita.engines.registry import ENGINES
from pipepita.errors import unknown
from pipepita.files import check_apart, check_picture, check_writable
from pipepita.network import partition
from pipepita.runs.options.group import Group
from pipepita.runs.store import tensorboard
from pipepita.schedule import SCHEDULES


class Window(Group):
    """How many samples are in flight, and whether passes allow for that."""

    panel: ClassVar[str] = "Schedule"

    window: int | None = Field(
        None,
        ge=1,
        description="samples in flight at once, for streaming and adaptive (default: enough to fill the pipeline; if "
        "something is learnt, at most what the rule learns well with, mostly 4)",
    )

    look_ahead: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether standard passes use predicted weights while other samples are in flight (auto: if the "
        "rule learns better with them)",
    )

    def looks_ahead(self, default: bool, window: int) -> bool:
        """Whether standard passes use predicted weights with so many samples in flight. default: what the rule says."""
        return window > 1 and {"on": True, "off": False, "auto": default}[self.look_ahead]


class ScheduleChoice(Window):
    """The order of passes."""

    panel: ClassVar[str] = "Schedule"

    schedule: str = Field(
        "relaxed",
        description="order of the passes: locked, relaxed, streaming, or adaptive (as streaming, but if no sample "
        "waits, those in flight are finished at once)",
        examples=[*SCHEDULES],
    )

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        return self


class Places(Group):
    """Where stages run, and what happens if one is lost."""

    panel: ClassVar[str] = "Engine"

    stages: str | int | None = Field(
        None,
        description="how many stages the layers are split into; or how many layers each stage holds, like 2,1,1; or "
        "auto: as many as are measured to be fastest (default: one stage per layer with ray, else one)",
        examples=[partition.AUTO],
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto, cpu or cuda; auto uses GPUs if there are any, one per stage if there are enough"
    )
    threads: int = Field(
        1, ge=1, le=256, description="threads of each stage; another number can give slightly different weights"
    )
    address: str | None = Field(
        None, description="existing Ray cluster to join, host:port or auto (default: start one for this run)"
    )
    placement: str = Field(
        "pack",
        description="which nodes the stages go to: pack, spread, one-per-host, or one node per stage like A,B,B",
        examples=[*placement.STRATEGIES],
    )
    encrypt: bool = Field(
        False,
        description="encrypt what goes over TCP from host to host: TLS 1.3, with a certificate for this run alone",
    )
    max_restarts: int = Field(
        3, ge=0, description="how often the run goes on from its last snapshot after a stage is lost"
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _stages(cls, stages: int | str | None) -> int | str | None:
        return None if stages is None else partition.read(stages)

    @model_validator(mode="after")
    def _placement(self) -> Self:
        placement.check(self.placement)
        return self


class EngineChoice(Group):
    """What runs the stages."""

    panel: ClassVar[str] = "Engine"

    engine: str = Field(
        "ray",
        description="ray runs each stage as a Ray actor, local runs all of them in one process",
        examples=[*ENGINES],
    )

    @model_validator(mode="after")
    def _engine(self) -> Self:
        if self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)
        return self


class Chain(Group):
    """A chain of small devices, and what goes wrong there."""

    panel: ClassVar[str] = "Emulation"

    devices: str | None = Field(
        None, description="emulate this chain of devices, like rpi4*3,orin-nano (`pipepita devices` lists them)"
    )
    link: str | None = Field(
        None,
        description='link between the devices, like wifi or "delay 10ms rate 20mbit", or lte/wifi if the way home to '
        "the first device is another one than the way there; several with commas, one per hop; links like wifi@air1 "
        "share the air of that name (default: wifi)",
    )
    assign: str | None = Field(
        None, description="how many layers each device holds, like 2,1,1 (default: balanced by their cost)"
    )
    trouble: str | None = Field(
        None,
        description="what goes wrong with devices and links: slow=4@10-20:2, pause@30-35, die~600/30:1, cut@10-12:1",
    )
    profiles: Path | None = Field(None, description="TOML file with devices and links of your own")


class PassTimes(Group):
    """Emulated devices of which only the time that a pass takes is known."""

    panel: ClassVar[str] = "Emulation"

    standard_ms: str | None = Field(
        None,
        description="emulate devices that take so many milliseconds for a layer's standard pass; one number, or one "
        "per layer with commas",
    )
    modulated_ms: str | None = Field(None, description="the same for a layer's modulated pass")


class Output(Group):
    """What is written, and how often."""

    panel: ClassVar[str] = "Output"

    run_dir: Path | None = Field(
        None,
        description="folder for metrics and checkpoints, which must not exist yet (default: a new folder in ./runs)",
    )
    snapshot_every: int | None = Field(
        None,
        ge=1,
        description="samples between two snapshots, for which the pipeline is drained (default: those of an epoch)",
    )
    checkpoint_every: float = Field(
        60,
        ge=0,
        description="within an epoch, at least so many seconds pass between two snapshots that are written to the disk",
    )
    keep_checkpoints: int = Field(3, ge=1, description="how many of the last checkpoints stay on the disk")
    tensorboard: bool = Field(False, description="also write curves for TensorBoard into the run folder")
    trace: Path | None = Field(None, description="JSON file for a trace of the last samples, for ui.perfetto.dev")
    timeline: Path | None = Field(None, description="PNG, PDF or SVG file for a picture of a few samples")

    @model_validator(mode="after")
    def _writable(self) -> Self:
        check_writable(self.trace, "trace")
        check_picture(self.timeline, "timeline")
        check_apart({"trace": self.trace, "timeline": self.timeline})
        if self.tensorboard:
            tensorboard.check()
        return self
