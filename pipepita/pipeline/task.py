"""What is trained: layers, the rule and the optimizer that train them, and the seed of all randomness."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.pipeline.state import State
from pipepita.rules import Rule


@dataclass(frozen=True)
class Task:
    """A network and how it learns. It does not depend on stages and engines.

    Attributes:
        layers: The layers of the whole network, in order.
        classes: How many classes there are, or how many numbers are predicted; the width of the output.
        rule: The learning rule.
        optimizer: The optimizer, as `optimizers.parse` reads it.
        lr: The learning rate at the beginning.
        seed: What everything random is drawn from.
        threads: How many intra-op threads of torch each stage uses. The result depends on it to the bit.
        look_ahead: Whether standard passes use predicted weights: see `pipepita.pipeline.look_ahead`.

    Raises:
        UserError: The network predicts numbers, which the rule cannot teach.
    """

    layers: Sequence[Layer]
    classes: int
    rule: Rule
    optimizer: str = "sgd"
    lr: float = 0.1
    seed: int = 0
    threads: int = 1
    look_ahead: bool = False

    def __post_init__(self) -> None:
        if self.regression and (why := self.rule.unfit_for_numbers(self.classes)):
            raise UserError(f"rule {self.rule.name} cannot teach a network to predict numbers: {why}")

    @property
    def regression(self) -> bool:
        """Whether the network predicts numbers instead of classes."""
        return any(layer is not None and layer.regression for layer in self.layers)  # an actor has only its own layers

    @property
    def whole(self) -> list[range]:
        """The `parts` of a pipeline that holds all layers in one stage."""
        return [range(len(self.layers))]

    def copy(self) -> Task:
        """The same with copies of the layers, so that training does not change these."""
        return replace(self, layers=copy.deepcopy(list(self.layers)))

    def weights(self, state: State) -> dict[str, Tensor]:
        """The weights of `state` in the order of the layers, by state_dict key."""
        return {key: state.weights[key] for layer in self.layers for key in layer.state}

    def with_threads(self, threads: int) -> Task:
        """The same with so many intra-op threads per stage."""
        return replace(self, threads=threads)
