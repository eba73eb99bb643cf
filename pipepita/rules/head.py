"""Trainable maps beside a layer that a rule asks for, like a read-out of its activity or a projection that learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipepita.network.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn


class Head:
    """A linear map or a convolution beside a layer. An optimizer of the layer's kind updates its weights.

    The learner that holds it gives the updates, as `Learner.head_products` describes. Its weights and the state of its
    optimizer are part of every snapshot. They are no part of the trained network.

    Args:
        layer: The layer that it belongs to.
        name: Its own name, like "projection". Its tensors are called "0.projection.weight", if the layer is module "0".
        module: The map, whose weights are drawn already.
        rate: Its learning rate, as a multiple of the layer's.

    Attributes:
        map: The map as a layer, for the optimizer.
        rate: As above.

    Example:
        >>> import torch
        >>> import pipepita as pp
        >>> from pipepita.network.cut import cut
        >>> layer = cut(pp.build("fc:5", (4,), 3), (4,), 3)[0]
        >>> head = Head(layer, "readout", torch.nn.Linear(5, 3, bias=False))
        >>> head.weight.shape, sorted(head.map.state)
        (torch.Size([3, 5]), ['0.readout.weight'])
    """

    def __init__(self, layer: Layer, name: str, module: nn.Linear | nn.Conv2d, rate: float = 1.0) -> None:
        self.map = Layer(layer.number, (f"{layer.name}.{name}", module.requires_grad_(False)))
        self.map.to(layer.parameters[0].device)
        self.rate = rate

    @property
    def weight(self) -> Tensor:
        """The weights, which the optimizer updates in place."""
        return self.map.parameters[0]

    def forward(self, x: Tensor) -> Tensor:
        """The map of `x`, (B, *in_shape) float32, with its bias if it has one."""
        return self.map.synapse.forward(x)
