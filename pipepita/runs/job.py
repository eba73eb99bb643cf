"""What a training job is made of: options with their defaults, bounds and meanings. TOML in, checked by pydantic."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import nn

from pipepita import rules
from pipepita.data import Data
from pipepita.engines.ray import placement
from pipepita.engines.registry import ENGINES
from pipepita.errors import UserError, unknown
from pipepita.files import check_picture, check_writable
from pipepita.network import spec
from pipepita.network.modules import ACTIVATIONS
from pipepita.pipeline import optimizers
from pipepita.rules import RULE_OPTIONS, RULES, Rule
from pipepita.rules.forms import FORMS, PRESYNAPTICS
from pipepita.rules.projection import PERTURBATIONS
from pipepita.runs import tensorboard
from pipepita.schedule import SCHEDULES

_BITS = 63  # of a whole number, as TOML asks for


class Options(BaseModel):
    """How to train: everything that is neither the network, the data nor the rule.

    Raises `UserError` (through `checked`) for an unknown name or a value out of bounds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    schedule: str = Field("relaxed", description="locked, relaxed or streaming")
    window: int | None = Field(None, ge=1, description="samples in flight (streaming; default: fills the pipeline)")
    stages: int | None = Field(None, ge=1, description="contiguous groups of layers (ray: one a layer; local: one)")
    optimizer: str = Field("sgd", description="sgd (momentum 0.9), or any of torch.optim, as name:option=value,...")
    lr: float = Field(0.1, ge=0, le=1e38, description="learning rate")
    lr_decay: str | None = Field(None, description="FACTOR@EPOCH[,EPOCH...]: 0.1@60,90 multiplies by 0.1 at both")
    batch_size: int = Field(64, ge=1, description="items a sample")
    epochs: int = Field(30, ge=1, description="passes over the training items")
    seed: int = Field(0, ge=0, description="of weights, feedback, dropout and order")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU a stage where there are enough")
    address: str | None = Field(None, description="an existing Ray cluster, host:port or auto (default: its own)")
    threads: int = Field(1, ge=1, le=256, description="intra-op threads of each stage; part of what decides the bits")
    standard_ms: str | None = Field(None, description="emulate devices that take so long a standard pass and layer")
    modulated_ms: str | None = Field(None, description="the same for a modulated pass; one number, or one a layer")
    devices: str | None = Field(None, description="emulate this chain, like rpi4*3,orin-nano: see `pipepita devices`")
    link: str | None = Field(None, description='between the devices: wifi, "delay 10ms rate 20mbit", or one a hop')
    assign: str | None = Field(None, description="layers of each device, like 2,1,1 (default: balanced)")
    trouble: str | None = Field(None, description="of devices and links: slow=4@10-20:2, pause@30-35, die~600/30:1")
    profiles: Path | None = Field(None, description="a TOML file of more devices and links")
    trace: Path | None = Field(None, description="the latest samples for ui.perfetto.dev, as JSON")
    timeline: Path | None = Field(None, description="a few samples in steady state, as PNG")
    run_dir: Path | None = Field(None, description="where metrics and checkpoints go; must not exist")
    snapshot_every: int | None = Field(
        None, ge=1, description="samples from one drained snapshot to the next (default: an epoch's)"
    )
    checkpoint_every: float = Field(60, ge=0, description="seconds from one snapshot on disk to the next, at least")
    keep_checkpoints: int = Field(3, ge=1, description="how many checkpoints stay on disk, the last ones")
    max_restarts: int = Field(3, ge=0, description="how often lost stages are rebuilt and go on from the last snapshot")
    placement: str = Field("pack", description="of stages on nodes: pack, spread, one-per-host, or a node each: A,B,B")
    tensorboard: bool = Field(False, description="also write the run folder's curves for TensorBoard")

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        optimizers.check(self.optimizer)
        self.rate_in(1)
        placement.check(self.placement)
        check_writable(self.trace, "trace")
        check_picture(self.timeline, "timeline")
        if self.tensorboard:
            tensorboard.check()
        return self

    def rate_in(self, epoch: int) -> float:
        """The learning rate of `epoch` (from 1): decayed once for each named epoch that is over."""
        if self.lr_decay is None:
            return self.lr
        factor, at, epochs = self.lr_decay.partition("@")
        try:
            steps, by = [int(e) for e in epochs.split(",")], float(factor)
            if not at or not 0 < by <= 1 or min(steps) < 1:
                raise ValueError
        except ValueError:
            raise UserError(f"lr_decay {self.lr_decay!r} cannot be read: write it like 0.1@60 or 0.5@20,40") from None
        return self.lr * by ** sum(epoch > e for e in steps)


class Job(Options):
    """A whole job, as on the command line or in a TOML file."""

    dataset: str = Field("digits", description="digits, mnist, fashion-mnist, cifar10, cifar100 or npz:FILE")
    data_dir: Path | None = Field(None, description="where the data sets are (default: $PIPEPITA_DATA, else ./data)")
    download: bool = Field(False, description="fetch a data set that is not there")
    network: str = Field("fc:1024", description="hidden layers, like fc:256x8 or conv:32,5/pool:2/fc:256")
    activation: str = Field("relu", description="of every hidden layer")
    rule: str = Field("pepita", description=f"learning rule: {', '.join(RULES)}")
    form: str | None = Field(None, description=f"with samples in flight: pepita {', '.join(FORMS)}; bp stash, textbook")
    modulate: str | None = Field(None, description="pepita: where the error enters: input, or all layers")
    presynaptic: str | None = Field(None, description=f"pepita: what an update is made of: {', '.join(PRESYNAPTICS)}")
    perturbation: str | None = Field(None, description=f"pepita: what enters: {', '.join(PERTURBATIONS)}")
    f_scale: float | None = Field(None, ge=0, description="pepita: scale of the feedback matrices, the paper's 0.05")
    mirror: int | None = Field(None, ge=0, description="pepita: mini-batches of noise an epoch that align F with W")
    strict: bool | None = Field(None, description="usf, brsf, frsf: feedback of W's norm, and signs of W stay")
    normalize: bool = Field(False, description="divide each item's hidden activity by its root mean square")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of hidden activity dropped")
    engine: str = Field("ray", description="local: one process; ray: one Ray actor a stage")

    @model_validator(mode="after")
    def _rule(self) -> Self:
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)
        if self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)
        self.make_rule()
        return self

    def make_rule(self) -> Rule:
        """The rule with its options; `UserError` for an option that it does not have."""
        given = {name: getattr(self, name) for name in RULE_OPTIONS}
        return rules.make(self.rule, {name: value for name, value in given.items() if value is not None})

    def model(self, data: Data) -> nn.Sequential:
        """An untrained network for `data`."""
        return spec.build(
            self.network, data.item_shape, data.classes,
            activation=self.activation, dropout=self.dropout, normal=self.normalize,
        )  # fmt: skip

    def options(self) -> Options:
        """The part that `train` takes beside model, data and rule."""
        return Options(**{name: getattr(self, name) for name in Options.model_fields})


def checked(kind: type[Options], values: dict[str, Any]) -> Any:
    """`kind` from `values`; `UserError` in one line, naming the first option that is wrong, its value and why."""
    for name, value in values.items():
        if name not in kind.model_fields:
            raise unknown("option", name, kind.model_fields)
        if isinstance(value, int) and value.bit_length() > _BITS:
            raise UserError(f"{name}: a number of {value.bit_length()} bits; {_BITS} are the most")
        if isinstance(value, str) and "\0" in value:
            raise UserError(f"{name} {value!r}: no name holds a null character")
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{where} {_shown(first['input'])}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
    except OSError as error:  # a path too long to look at
        raise UserError(f"{error.filename!r}: {error.strerror}") from None
    except UserError as error:  # whatever a value held, this is a line, and nothing in it moves a terminal's cursor
        raise UserError("".join(c if c.isprintable() else repr(c)[1:-1] for c in str(error))) from None


def _shown(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return f"(a {type(value).__name__} too large to show)"


def read_job(path: Path | None, given: dict[str, Any], assignments: list[str], kind: type[Job] = Job) -> Any:
    """The job of a TOML file, overridden by options given by name, overridden by `key=value` assignments."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = _loaded(path.read_text())
        except FileNotFoundError:
            raise UserError(f"job file {path} does not exist") from None
        except (OSError, ValueError) as error:  # not text, not TOML
            raise UserError(f"job file {path} cannot be read: {error}") from None
    values = {key.replace("-", "_"): value for key, value in values.items()}
    return checked(kind, values | read_changes(given, assignments))


def read_changes(given: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Options given by name, overridden by `key=value` assignments."""
    values = dict(given)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment!r} is not key=value")
        values[key.strip().replace("-", "_")] = _value(text.strip())
    return values


def _value(text: str) -> Any:
    """A TOML value, or the text itself: `lr=0.05` is a number, `network=fc:256` a string."""
    try:
        return _loaded(f"value = {text}")["value"]
    except ValueError:
        return text


def _loaded(text: str) -> dict[str, Any]:
    """TOML; `ValueError` for text that is not, or too large a number or too deep a table for Python."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
