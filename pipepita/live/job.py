"""What is learnt from online, by which network, and where: the options of a simulation, and of real engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipepita.edge.scenario import Scenario
from pipepita.engines.registry import ENGINES
from pipepita.errors import UserError, unknown
from pipepita.runs.options.group import Group
from pipepita.runs.options.job import Options
from pipepita.runs.options.running import Chain, Output, Places, ScheduleChoice

if TYPE_CHECKING:
    from pipepita.edge.chain import Chain as Devices

# By default for numbers: their error has no bound, as that of classes has, so 1,024 units would need a far lower rate.
NUMBERS_NETWORK = "fc:64"


class LiveInput(Group):
    """Where items come from."""

    panel: ClassVar[str] = "Stream"

    source: str | None = Field(
        None,
        description="where items come from, one per line: - for standard input, tcp:HOST:PORT, or mqtt:HOST/TOPIC "
        "(default: --stream)",
        examples=["-", "tcp:", "mqtt:"],
    )
    features: str | None = Field(
        None, description="how many numbers an item has; or its shape, like 1x28x28, for a network with convolutions"
    )
    task: Literal["classification", "regression"] = Field(
        "classification",
        description="what is predicted of an item from --source: its class, or numbers (regression, and then the "
        f"default network is {NUMBERS_NETWORK}); a stream by name knows",
    )
    classes: int | None = Field(None, ge=2, le=1_000_000, description="how many classes there are")
    outputs: int | None = Field(
        None, ge=1, le=1_000_000, description="with --task regression: how many numbers are predicted (default: 1)"
    )
    unlabelled: int = Field(
        10_000, ge=1, le=10_000_000, description="how many items are kept until their labels come; older are forgotten"
    )

    order: Path | None = Field(
        None,
        description="repeat the order of the passes that another run has decided (its order.txt), which ends with the "
        "same bits in every engine",
    )

    @model_validator(mode="after")
    def _input(self) -> Self:
        if self.source is None:
            for name in ("features", "task", "classes", "outputs"):
                if name in self.model_fields_set and getattr(self, name) is not None:
                    raise UserError(f"{name} needs --source: a stream by name knows its own")
            return self
        from pipepita.live.sources import check

        check(self.source)
        for name in ("features",) if self.regression else ("features", "classes"):
            if getattr(self, name) is None:
                raise UserError(f"source {self.source} needs --{name}: a network cannot be built without")
        if self.regression and self.classes is not None:
            raise UserError(f"classes {self.classes}: with --task regression say how many numbers there are: --outputs")
        if not self.regression and self.outputs is not None:
            raise UserError(f"outputs {self.outputs} needs --task regression")
        self.shape  # noqa: B018  a mistake shows here
        return self

    @property
    def regression(self) -> bool:
        """Whether numbers are predicted of items from `source`."""
        return self.task == "regression"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an item from `source`; `UserError` if `features` says none."""
        sizes = (self.features or "").split("x")
        if not all(size.isdecimal() and 0 < int(size) < 1 << 24 for size in sizes) or len(sizes) > 3:
            raise UserError(f"features {self.features!r}: write a number like 64, or a shape like 1x28x28")
        return tuple(map(int, sizes))


class LiveEngine(Group):
    """What runs the stages."""

    panel: ClassVar[str] = "Engine"

    engine: str | None = Field(
        None,
        description="ray runs each stage as a Ray actor, local runs all of them in one process (default: ray if "
        "devices, stages, placement or address are given)",
        examples=[*ENGINES],
    )

    @model_validator(mode="after")
    def _engines(self) -> Self:
        if self.engine is not None and self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)
        return self


class OnlineJob(LiveInput, Scenario, ScheduleChoice, LiveEngine, Places, Output):
    """An online run, as on the command line or in a TOML file, which may be that of a simulation."""

    schedule: str = Field(
        "adaptive",
        description="order of the passes: adaptive, locked, relaxed or streaming",
        examples=["adaptive", "locked", "relaxed", "streaming"],
    )
    encrypt: bool = Field(
        True,
        description="encrypt what goes over TCP from host to host: TLS 1.3, with a certificate for this run alone",
    )
    queue: int = Field(256, ge=1, le=10_000_000, description="how many items can wait until they enter the pipeline")
    snapshot_every: int | None = Field(
        1000, ge=1, description="samples between two snapshots, for which the pipeline is drained"
    )

    @model_validator(mode="before")
    @classmethod
    def _small_for_numbers(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"network": NUMBERS_NETWORK, **values} if values.get("task") == "regression" else values

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.order is not None and (self.schedule != "adaptive" or self.batch_size > 1):
            raise UserError(f"order {self.order} needs --schedule adaptive and --batch-size 1")
        return self

    def _arrive_by_themselves(self) -> bool:
        return self.source is not None or super()._arrive_by_themselves()

    @property
    def where(self) -> str:
        """The name of the engine."""
        spread = {"devices", "stages", "placement", "address"} & self.model_fields_set
        return self.engine or ("ray" if spread else "local")

    @property
    def devices_named(self) -> bool:
        """Whether the chain was named, so that its devices decide how many stages there are."""
        return "devices" in self.model_fields_set and self.stages is None

    @property
    def limit(self) -> int | None:
        """After how many samples a live source ends for us; None for never."""
        return self.samples if self.source is None or "samples" in self.model_fields_set else None

    def options(self) -> Options:
        """The options of `train` that hold here, too."""
        names = Options.model_fields.keys() & type(self).model_fields.keys() - Chain.model_fields.keys()
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        return Options(**values)

    def decided(self, step: int) -> list[bool]:
        """What `order` holds behind the decisions of the samples before `step`; nothing if it was not given.

        `UserError` if the file cannot be read, or is no order.
        """
        if self.order is None:
            return []
        try:
            text = self.order.read_text()
        except (OSError, ValueError) as error:
            raise UserError(f"order {self.order} cannot be read: {error}") from None
        if text.strip("01"):
            raise UserError(f"order {self.order} is no order: it holds something else than 0 and 1")
        return [bit == "1" for bit in text[2 * step :]]

    def chain(self) -> Devices:
        """The devices that the job names; `UserError` as in `parse_chain`."""
        from pipepita.edge.chain import parse_chain
        from pipepita.edge.devices.profiles import catalogue

        return parse_chain(self.devices, self.link, catalogue(self.profiles))

    @classmethod
    def unknown(cls, name: str) -> UserError:
        """The error for an option that an online run does not have."""
        return unknown("option", name, cls.model_fields)
