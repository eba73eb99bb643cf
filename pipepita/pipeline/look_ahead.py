"""Standard passes with predicted weights: those that the layer will have when the sample's update comes.

With K samples in flight, K - 1 updates come between a sample's standard pass and its own update. Weights that go on
changing as they did in the last update will have changed K - 1 times as much by then:

    W' = W + K' (W - V)        V: the weights before the last update,    K': how many samples are in flight at the layer

So the optimizer's last step, whichever optimizer it is, is repeated K' times: for SGD with momentum it is the velocity,
for Adam its direction. At window 1, K' is 0 and W' is W.

Sources: SpecTrain (Chen et al. 2018), XPipe (Guan et al. 2019); Ajanthan et al. 2025 on the same for asynchronous
pipelines with Nesterov momentum.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from pipepita.network.layer import Layer


class LookAhead:
    """The predicted weights of one layer.

    Args:
        layer: The layer. During `predicted` it computes with the predicted weights.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._before = [parameter.clone() for parameter in layer.parameters]
        self._synapse = copy.deepcopy(layer.synapse)

    @contextmanager
    def predicted(self, in_flight: int) -> Iterator[None]:
        """The layer's standard pass: with the weights that it will have after `in_flight` more updates."""
        if not in_flight:
            yield
            return
        for guess, before, now in zip(self._weights(), self._before, self._layer.parameters, strict=True):
            torch.lerp(before, now, 1.0 + in_flight, out=guess)
        with self._layer.meanwhile(self._synapse):
            yield

    def _weights(self) -> list[Tensor]:
        module = self._synapse.module
        return [module.weight] if module.bias is None else [module.weight, module.bias]

    def before_update(self) -> None:
        """The weights are about to change."""
        for before, now in zip(self._before, self._layer.parameters, strict=True):
            before.copy_(now)

    def state(self) -> dict[str, Tensor]:
        """The weights before the last update, by names like "0.before.weight"."""
        name = self._layer.name
        return {f"{name}.before.{key}": value for key, value in zip(("weight", "bias"), self._before, strict=False)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Continues from what `state` returned. Raises `KeyError` if a tensor is missing."""
        for key, value in self.state().items():
            value.copy_(state[key])
