"""The options that say what is learnt: from which data, by which network, with which rule, in which steps.

`runs.job` and `edge.scenario` are composed of these groups and of those in `options`. Nothing here imports torch until
a value is checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipepita.errors import UserError, unknown
from pipepita.rules import BUILT_IN
from pipepita.runs.options.group import Group

if TYPE_CHECKING:
    from torch import nn

    from pipepita.data.augment import Augment
    from pipepita.rules import Defaults, Rule


class DataFolder(Group):
    """Where data sets are."""

    panel: ClassVar[str] = "Network and data"

    data_dir: Path | None = Field(
        None, description="folder with the data sets (default: $PIPEPITA_DATA if set, else ./data)"
    )
    download: bool = Field(False, description="download the data set if it is not in the folder")


class DataChoice(DataFolder):
    """What a job learns from."""

    panel: ClassVar[str] = "Network and data"

    dataset: str = Field(
        "digits",
        description="data set: digits, mnist, fashion-mnist, cifar10, cifar100, npz:FILE, or folder:DIR with images in "
        "DIR/train/CLASS and DIR/test/CLASS",
        examples=["digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "npz:", "folder:"],
    )


class Inputs(Group):
    """What happens to items before the first layer."""

    panel: ClassVar[str] = "Network and data"

    standardize: bool = Field(
        False, description="give each channel or feature mean 0 and standard deviation 1, by the training items"
    )


class Reading(Group):
    """Which training items are read, and how."""

    panel: ClassVar[str] = "Network and data"

    augment: str | None = Field(
        None,
        description="random changes of training images, like crop:4,flip: crop:N moves each by up to N pixels, flip "
        "mirrors half of them left to right (default: none)",
        examples=["crop:4,flip"],
    )

    validation: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training items that is held out, and tested on instead of the test items: to choose "
        "settings by",
    )

    loader_workers: int | None = Field(
        None,
        ge=0,
        le=256,
        description="processes that read items ahead, if the data are not held in memory; 0 for none (default: 2; 0 if "
        "there is little to read)",
    )

    @model_validator(mode="after")
    def _augment(self) -> Self:
        self.augmentation  # noqa: B018  a mistake shows here
        return self

    @property
    def augmentation(self) -> Augment | None:
        """The changes; None if there are none. `UserError` if they cannot be read."""
        from pipepita.data import augment

        return None if self.augment is None else augment.parse(self.augment)


class NetworkChoice(Group):
    """What is trained."""

    panel: ClassVar[str] = "Network and data"

    network: str = Field(
        "fc:1024",
        description="hidden layers, like fc:256x8, conv:32,5/pool:2/fc:256 or (conv:64,3,1,1/norm:batch)x2/pool:2; or "
        "the name of a network: vgg8b, vgg11b, paper-fc, paper-conv",
        examples=["vgg8b", "vgg11b", "paper-fc", "paper-conv"],
    )
    activation: str | None = Field(
        None, description="activation of the hidden layers (default: the rule's own, mostly relu)"
    )
    normalize: bool | Literal["auto"] = Field(
        "auto",
        description="divide each item's hidden activity by its root mean square; auto does so if there are two or more "
        "hidden layers",
    )
    init: Literal["he", "zero-output"] = Field(
        "he",
        description="how the weights begin: he (He-uniform, as in the paper), or zero-output (the same, but zero in "
        "the output layer, which suits projections that learn)",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="share of the hidden activity that is dropped in training")

    @model_validator(mode="after")
    def _activation(self) -> Self:
        from pipepita.network.modules import ACTIVATIONS

        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)
        return self

    def build(self, item_shape: tuple[int, ...], classes: int, rule: Rule) -> nn.Sequential:
        """An untrained network for items of this shape. What the options leave open is chosen to suit `rule`."""
        from pipepita.network import spec

        layers = spec.hidden_layers(self.network) + 1
        model = spec.build(
            self.network, item_shape, classes,
            activation=self.activation or rule.defaults(layers).activation, dropout=self.dropout,
            normal=layers > 2 if self.normalize == "auto" else self.normalize,
        )  # fmt: skip
        return rule.network(model, classes)


class RuleChoice(Group):
    """The learning rule. Its own options are the fields of its class, and are part of the same text."""

    panel: ClassVar[str] = "Rule"

    rule: str | dict[str, Any] = Field(
        "pepita",
        description=f"learning rule: {', '.join(BUILT_IN)}, or one of your own, like my_rule.py:MyRule; its options "
        "follow a colon, like pepita:modulate=all,mirror=5 (`pipepita rules` lists them)",
        examples=[*BUILT_IN],
    )

    @model_validator(mode="after")
    def _rule(self) -> Self:
        self.make_rule()
        return self

    def make_rule(self) -> Rule:
        """The rule with its options. `UserError` if there is no such rule, or it has no such option."""
        from pipepita import rules

        return rules.read(self.rule)


class Updates(Group):
    """How weights are updated."""

    panel: ClassVar[str] = "Training"

    lr: float | None = Field(
        None,
        ge=0,
        le=1e38,
        description="learning rate (default: the rule's own; for pepita 0.1, or 0.05 if there are two or more hidden "
        "layers; for the others mostly 0.01)",
    )
    optimizer: str | None = Field(
        None,
        description="sgd, adam or another optimizer of torch.optim, written NAME:option=value,... "
        "(default: the rule's own, mostly sgd:momentum=0.9)",
    )
    batch_size: int = Field(64, ge=1, description="items per sample; a sample is one mini-batch")
    seed: int = Field(0, ge=0, description="decides the first weights, the feedback, dropout and the order of items")

    @model_validator(mode="after")
    def _optimizer(self) -> Self:
        from pipepita.pipeline import optimizers

        if self.optimizer is not None:
            optimizers.check(self.optimizer)
        return self

    def settled(self, own: Defaults) -> Self:
        """The same with the rule's defaults `own` for the learning rate and the optimizer, if they were not given."""
        lr, optimizer = self.lr, self.optimizer
        chosen = {"lr": own.lr if lr is None else lr, "optimizer": own.optimizer if optimizer is None else optimizer}
        return self.model_copy(update=chosen)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the first epoch. Only after `settled`."""
        assert self.lr is not None
        return self.lr

    @property
    def updater(self) -> str:
        """The optimizer. Only after `settled`."""
        assert self.optimizer is not None
        return self.optimizer


class Epochs(Updates):
    """How long to train, and with which learning rate in which epoch."""

    panel: ClassVar[str] = "Training"

    epochs: int = Field(30, ge=1, description="how often the run goes through all training items")
    lr_decay: str | None = Field(
        None,
        description="FACTOR@EPOCH[,EPOCH...]: 0.1@60,90 multiplies the learning rate by 0.1 after epoch 60 and again "
        "after epoch 90 (default: no decay)",
    )

    @model_validator(mode="after")
    def _decay(self) -> Self:
        self._decayed(1)
        return self

    def rate_in(self, epoch: int) -> float:
        """The learning rate of `epoch` (from 1), decayed once for each named epoch before it. Only after `settled`."""
        return self.learning_rate * self._decayed(epoch)

    def _decayed(self, epoch: int) -> float:
        if self.lr_decay is None:
            return 1.0
        factor, at, epochs = self.lr_decay.partition("@")
        try:
            steps, by = [int(e) for e in epochs.split(",")], float(factor)
            if not at or not 0 < by <= 1 or min(steps) < 1:
                raise ValueError
        except ValueError:
            raise UserError(f"lr_decay {self.lr_decay!r} cannot be read: write it like 0.1@60 or 0.5@20,40") from None
        return by ** sum(epoch > e for e in steps)
