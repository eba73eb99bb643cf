"""What is trained: layers, the rule and optimizer that train them, and the randomness they draw from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.pipeline.state import State
from pipepita.rules import Rule


@dataclass(frozen=True)
class Task:
    """A network and how it learns, whatever stages and engine it is given to.

    layers: of the whole network, in order. classes: of the output. optimizer: as `optimizers.parse` reads it. lr: the
    learning rate to begin with. seed: of all that is drawn. threads: intra-op threads of torch per stage, which decide
    the bits as much as the seed does.
    """

    layers: Sequence[Layer]
    classes: int
    rule: Rule
    optimizer: str = "sgd"
    lr: float = 0.1
    seed: int = 0
    threads: int = 1

    @property
    def whole(self) -> list[range]:
        """All layers in one stage, as `parts` of a pipeline."""
        return [range(len(self.layers))]

    def copy(self) -> Task:
        """The same with layers of its own, to be trained without a trace in these."""
        return replace(self, layers=copy.deepcopy(list(self.layers)))

    def weights(self, state: State) -> dict[str, Tensor]:
        """The weights of `state` in the order of the layers, by state_dict key."""
        return {key: state.weights[key] for layer in self.layers for key in layer.state}

    def with_threads(self, threads: int) -> Task:
        """The same, each stage with so many intra-op threads."""
        return replace(self, threads=threads)
