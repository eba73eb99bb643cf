"""The net that all contenders train, its data, and its split into stages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.network.layer import Layer
from pipepita.network.partition import balance


@dataclass(frozen=True)
class Net:
    """A deep balanced net, the kind that a pipeline can speed up, without dropout, normalisation or biases."""

    spec: str = "fc:512x8"
    inputs: int = 784
    classes: int = 10
    batch: int = 64
    lr: float = 0.01

    def model(self) -> nn.Sequential:
        """The whole net with its initial weights, the same in every process."""
        model = pp.build(self.spec, (self.inputs,), self.classes)
        pp.initialise(model, 0)
        return model

    def layers(self) -> list[Layer]:
        """The net as pipepita cuts it."""
        return cut(self.model(), (self.inputs,), self.classes)

    def parts(self, stages: int) -> list[range]:
        """Which layers each stage holds."""
        return balance([layer.cost for layer in self.layers()], stages)

    def part(self, index: int, stages: int) -> nn.Sequential:
        """Stage `index` of the net as an ordinary module."""
        layers = self.layers()
        starts = [int(layers[part.start].name) for part in self.parts(stages)]
        model = self.model()
        return model[starts[index] : [*starts, len(model)][index + 1]]

    def data(self, steps: int) -> tuple[Tensor, Tensor]:
        """Random items and labels for `steps` steps, the same in every process."""
        source = torch.Generator().manual_seed(0)
        items = steps * self.batch
        return (
            torch.rand(items, self.inputs, generator=source),
            torch.randint(0, self.classes, (items,), generator=source),
        )
