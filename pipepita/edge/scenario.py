"""What is simulated: the network and rule of a training job, a stream instead of a data set, and a chain of devices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from pipepita.edge.arrivals import POLICIES, PROCESSES
from pipepita.edge.devices.quantities import BATTERY, figure
from pipepita.errors import UserError, unknown
from pipepita.runs.options.group import Group
from pipepita.runs.options.learning import DataFolder, NetworkChoice, RuleChoice, Updates
from pipepita.runs.options.running import Chain, Window

if TYPE_CHECKING:
    from pipepita.edge.fan_in import Feeder
    from pipepita.streams import Stream


class StreamChoice(Group):
    """What the chain learns from."""

    panel: ClassVar[str] = "Stream"

    stream: str = Field(
        "digits", description="where samples come from: a data set, or a stream of river, like river:SEA or river:Elec2"
    )
    samples: int = Field(2000, ge=8, le=10_000_000, description="how many samples arrive in all")
    drift: str | None = Field(
        None,
        description="how the stream changes, like remap@5000, rotate:90@2000-4000 or noise:0.5@1000; several with "
        "commas (default: not at all)",
    )
    detector: str | None = Field(None, description="drift detector of river, like adwin (default: none)")
    sliding: int = Field(500, ge=1, description="over how many of the last items the sliding accuracy is taken")

    @model_validator(mode="after")
    def _detector(self) -> Self:
        from pipepita.streams.prequential import DETECTORS

        if self.detector is not None and self.detector not in DETECTORS:
            raise unknown("drift detector", self.detector, DETECTORS)
        return self


class Arrivals(Group):
    """When samples and their labels arrive, and where samples wait."""

    panel: ClassVar[str] = "Arrivals"

    rate: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="samples that arrive per second (default: each arrives as soon as the chain takes it)",
    )
    arrivals: str = Field("poisson", description="how samples arrive: poisson or fixed", examples=[*PROCESSES])
    sources: str | None = Field(
        None,
        description="several sources of samples into one chain, with the rate and maybe the classes of each, like "
        "20:0-4,5:5-9 (default: one, which --rate describes)",
    )
    queue: int = Field(16, ge=1, le=10_000_000, description="how many samples can wait until they enter the chain")
    policy: str = Field(
        "block", description=f"what happens when the queue is full: {', '.join(POLICIES)}", examples=[*POLICIES]
    )
    label_delay: float = Field(0.0, ge=0, le=1e6, description="seconds from a sample's arrival to its label")

    @model_validator(mode="before")
    @classmethod
    def _rates(cls, given: Any) -> Any:
        """The rate is that of all sources together."""
        if not isinstance(given, dict) or not isinstance(sources := given.get("sources"), str):
            return given
        from pipepita.edge.fan_in import read

        rate = sum(one.rate for one in read(sources))
        if given.get("rate") not in (None, rate):
            raise UserError(f"rate {given['rate']} and sources {sources!r}: each source has its own, so leave rate out")
        return {**given, "rate": rate}

    @model_validator(mode="after")
    def _arrivals(self) -> Self:
        if self.arrivals not in PROCESSES:
            raise unknown("arrivals", self.arrivals, PROCESSES)
        if self.policy not in POLICIES:
            raise unknown("queue policy", self.policy, POLICIES)
        if not self._arrive_by_themselves() and (given := {"arrivals", "queue", "policy"} & self.model_fields_set):
            raise UserError(f"{min(given)} needs --rate: without it the source makes a sample whenever one is wanted")
        return self

    def _arrive_by_themselves(self) -> bool:
        """Whether samples come when they come, and not when one is wanted."""
        return self.rate is not None

    def feeders(self) -> Sequence[Feeder]:
        """The sources, if there are several; else none."""
        from pipepita.edge.fan_in import read

        return [] if self.sources is None else read(self.sources)


class Scenario(DataFolder, NetworkChoice, RuleChoice, Updates, Window, Chain, StreamChoice, Arrivals):
    """A chain of devices, what it learns from, and what goes wrong. Raises `UserError` (through `reading.checked`)."""

    panel: ClassVar[str] = "Simulation"

    timing_only: bool = Field(
        False, description="only simulate the times and learn nothing, which is quick for chains of any length"
    )
    calibrate: bool = Field(
        False, description="measure how long passes take on this machine, and scale that to each device"
    )

    forgetting: bool = Field(
        False,
        description="also measure what is remembered of the stream before each drift, on items that are never learnt "
        "from",
    )
    battery: str | None = Field(
        None,
        description="what the devices' batteries hold, like 20Wh; several with commas, one per device. Then it is said "
        "how many samples are learnt from until the first is empty (default: no batteries)",
    )

    # there is always a chain
    devices: str = Field(
        "rpi4*2",
        description="devices of the chain, in their order, like rpi4*3,orin-nano (`pipepita devices` lists them)",
    )

    # online learning takes one item at a time, and each item once
    batch_size: int = Field(1, ge=1, description="items per sample; a sample is one mini-batch")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the hidden activity that is dropped in training")
    lr: float | None = Field(0.002, ge=0, le=1e38, description="learning rate")

    def arriving(self, rate: float | None) -> Iterator[float] | None:
        """When samples arrive at `rate` samples per second; None if they come when one is wanted."""
        from pipepita.edge.arrivals import times
        from pipepita.edge.fan_in import merged

        if rate is None:
            return None
        if feeders := self.feeders():
            return (time for time, _ in merged(feeders, self.arrivals, self.seed, rate))
        return times(rate, self.arrivals, self.seed)

    def owners(self) -> list[int]:
        """Which source each sample is of, from 0; none if there is only one."""
        from pipepita.edge.fan_in import merged

        arrivals = merged(self.feeders(), self.arrivals, self.seed)
        return [place for _, (_, place) in zip(range(self.samples), arrivals, strict=False)]

    def items(self, group: int, *, held_out: bool = False) -> Stream:
        """The stream of all samples. group: so many items in a row are of one source. held_out: see `open_stream`."""
        from pipepita.edge.fan_in import fan_in
        from pipepita.streams import drifted
        from pipepita.streams.sources import whole_stream

        stream, _ = whole_stream(
            self.stream, seed=self.seed, data_dir=self.data_dir, download=self.download, held_out=held_out
        )
        if feeders := self.feeders():
            stream = fan_in(stream, feeders, self.arrivals, self.seed, group)
        if self.drift:
            stream = drifted(stream, self.drift, seed=self.seed)
        return stream.first(self.samples * self.batch_size)

    @model_validator(mode="after")
    def _battery(self) -> Self:
        self.batteries(None)
        return self

    def batteries(self, devices: int | None) -> list[float]:
        """The joules of each device's battery; none if there are no batteries.

        devices: how many there are; None if that is not known yet. `UserError` if the text cannot be read.
        """
        if self.battery is None:
            return []
        where = f"battery {self.battery!r}:"
        joules = [figure(where, BATTERY, text) for text in self.battery.split(",")]
        if devices is not None and len(joules) not in (1, devices):
            raise UserError(f"{where} {len(joules)} batteries for {devices} devices: one for all, or {devices}")
        return joules * (devices or 1) if len(joules) == 1 else joules

    @model_validator(mode="after")
    def _learning(self) -> Self:
        for name in ("drift", "detector", "forgetting"):
            if self.timing_only and getattr(self, name):
                raise UserError(f"{name} {getattr(self, name)!r}: with --timing-only nothing is learnt")
        return self

    @classmethod
    def unknown(cls, name: str) -> UserError:
        """The error for an option that a simulation does not have; it says so if it is one of `train`."""
        from pipepita.runs.options.job import Job

        if name in Job.model_fields:
            return UserError(f"option {name!r} is an option of train and has no meaning for a simulation")
        return super().unknown(name)
