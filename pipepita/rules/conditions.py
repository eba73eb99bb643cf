"""What a run will be like, for what a rule has to say before it starts. It needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from pipepita.network.layer import Layer


@dataclass(frozen=True)
class Conditions:
    """A run that is about to start.

    Attributes:
        layers: The layers of the whole network.
        classes: How many classes there are.
        window: How many samples are in flight.
        lr: The learning rate.
        momentum: That of SGD; 0 with another optimizer.
        items: Returns so many training items (or all, if there are fewer) as the first layer's linear map takes them:
            (N, *in_shape), float32, standardised and flattened if the network does so.
    """

    layers: Sequence[Layer]
    classes: int
    window: int
    lr: float
    momentum: float
    items: Callable[[int], Tensor]
