"""What is to be simulated: the network and rule of a training job, a stream instead of a data set, and the world."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pipepita.edge.arrivals import POLICIES, PROCESSES
from pipepita.errors import UserError, unknown
from pipepita.runs.job import Job
from pipepita.streams.prequential import DETECTORS

# of a job, what a simulation has too
JOB_FIELDS = (
    "network", "link", "assign", "trouble", "profiles", "activation", "rule", "form", "modulate", "presynaptic",
    "perturbation", "f_scale", "strict", "normalize", "dropout", "window", "optimizer", "lr", "batch_size", "seed",
    "data_dir", "download",
)  # fmt: skip


class Scenario(Job):
    """A chain of devices, what it learns from, and what goes wrong. Raises `UserError` (through `job.checked`)."""

    stream: str = Field("digits", description="a data set, or river:NAME like river:SEA or river:Elec2")
    drift: str | None = Field(None, description="like remap@5000, rotate:90@2000-4000 or noise:0.5@1000, with commas")
    samples: int = Field(2000, ge=8, le=10_000_000, description="samples that arrive")
    devices: str = Field("rpi4*2", description="from the first, like rpi4*3,orin-nano: see `pipepita devices`")
    rate: float | None = Field(None, gt=0, le=1e9, description="samples a second (default: as fast as they are taken)")
    arrivals: str = Field("poisson", description="how they arrive: poisson or fixed")
    queue: int = Field(16, ge=1, le=10_000_000, description="samples that can wait to enter")
    policy: str = Field("block", description=f"when it is full: {', '.join(POLICIES)}")
    label_delay: float = Field(0.0, ge=0, le=1e6, description="seconds from a sample's arrival to its label")
    timing_only: bool = Field(False, description="no learning: only when what happens, for chains of any length")
    calibrate: bool = Field(False, description="costs of passes measured on this machine, and scaled to each device")
    detector: str | None = Field(None, description="a drift detector of river's, like adwin")
    sliding: int = Field(500, ge=1, description="items of the sliding window of the prequential accuracy")

    # online learning takes one item at a time, each once
    batch_size: int = Field(1, ge=1, description="items a sample")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden activity dropped")
    lr: float = Field(0.002, ge=0, le=1e38, description="learning rate")

    @model_validator(mode="after")
    def _words(self) -> Self:
        for name in sorted(self.model_fields_set & _OF_TRAIN):
            raise UserError(f"option {name!r} is one of train, and has no meaning for a simulation")
        if self.arrivals not in PROCESSES:
            raise unknown("arrivals", self.arrivals, PROCESSES)
        if self.policy not in POLICIES:
            raise unknown("queue policy", self.policy, POLICIES)
        if self.rate is None and (given := {"arrivals", "queue", "policy"} & self.model_fields_set):
            raise UserError(f"{min(given)} needs --rate: without one a sample is made whenever it is wanted")
        for name in ("drift", "detector"):
            if self.timing_only and getattr(self, name) is not None:
                raise UserError(f"{name} {getattr(self, name)!r}: with --timing-only nothing is learnt")
        if self.detector is not None and self.detector not in DETECTORS:
            raise unknown("drift detector", self.detector, DETECTORS)
        return self


# what of a job would be ignored
_OF_TRAIN = set(Job.model_fields) - {*JOB_FIELDS, "devices"}
