"""What all contenders learn: the same convolutional network, items of CIFAR-10, and test items."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import pipepita as pp
from pipepita.experiments import depth_conv
from pipepita.network.cut import cut
from pipepita.network.layer import Layer
from pipepita.network.partition import divide
from pipepita.network.standardize import Standardize


@dataclass(frozen=True)
class Course:
    """The network, how many items are learnt from, and for how long.

    Attributes:
        depth: Convolutions; the network is that of `pipepita reproduce depth-conv`.
        items: Training items, the first of a seeded shuffle.
        epochs: How often.
        batch: Items per step.
        held_out: Which share of the training items is tested on, in place of the test items, and not learnt from.
    """

    depth: int = 3
    items: int = 20_000
    epochs: int = 5
    batch: int = 100
    held_out: float = 0.0

    @property
    def steps(self) -> int:
        """Per epoch."""
        return self.items // self.batch

    def data(self) -> pp.Data:
        """CIFAR-10's items; each channel has mean 0 and standard deviation 1, so that no contender has to see to it."""
        return _standardized(self.items, self.held_out)

    def model(self, seed: int) -> nn.Sequential:
        """The whole network with its first weights; zero in the output layer."""
        model = pp.build(depth_conv.network(self.depth), (3, 32, 32), 10)
        pp.initialise(model, seed, "zero-output")
        return model

    def layers(self) -> list[Layer]:
        """The network as pipepita cuts it."""
        return cut(self.model(0), (3, 32, 32), 10)

    def splits(self, stages: int) -> list[str]:
        """All ways to divide the layers among so many stages, like "1,3"."""
        count = len(self.layers())
        return [
            ",".join(str(end - start) for start, end in itertools.pairwise((0, *ends, count)))
            for ends in itertools.combinations(range(1, count), stages - 1)
        ]

    def part(self, seed: int, index: int, split: str) -> nn.Sequential:
        """Stage `index` of the network as an ordinary module."""
        layers = self.layers()
        parts = divide(split, [layer.cost for layer in layers])
        starts = [0, *(int(layers[part.start].name) for part in parts[1:])]
        model = self.model(seed)
        return model[starts[index] : [*starts, len(model)][index + 1]]

    def order(self, seed: int, epoch: int) -> Tensor:
        """The items of an epoch in their order, the same for all."""
        source = torch.Generator().manual_seed(1000 * seed + epoch)
        return torch.randperm(self.items, generator=source)

    def accuracy(self, weights: dict[str, Any]) -> float:
        """Of a network with these weights on all items that are tested on, in percent."""
        model, data = self.model(0), self.data()
        model.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()})
        with torch.inference_mode():
            right = sum(
                int((model.eval()(x).argmax(1) == y).sum())
                for x, y in zip(data.x_test.split(500), data.y_test.split(500), strict=True)
            )
        return 100 * right / len(data.y_test)


@functools.cache
def _standardized(items: int, held_out: float) -> pp.Data:
    data = pp.load("cifar10").validating(held_out).first(items, seed=0)
    figures = Standardize.of(data.items.blocks())
    return pp.Data(figures(data.x_train), data.y_train, figures(data.x_test), data.y_test, 10, "cifar10")
