"""The recompute form of PEPITA's modulated pass: see the table in `forms`."""

from __future__ import annotations

import torch
from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.rules.forms.hebbian import Hebbian
from pipepita.rules.forms.textbook import Flight, Place, Textbook
from pipepita.rules.projection import Perturbation

_ALIGNMENT = 64


class Recompute(Textbook):
    """The clean pass runs again with today's weights, next to the modulated one, from the input that layer 1 kept.

    A message up the layers holds [h'_l; m_l], (2B, *out_shape), so that a layer above the first keeps nothing of a
    sample (the output layer: its softmax, for the target). Where every layer projects, m_{l-1} = h'_{l-1} + F_l e, and
    only h'_l travels: the layers then no longer update at once. Dropout masks are drawn again. (Between stages the slot
    that the standard pass's message lies in stays taken until the update, as in every form.)
    """

    def __init__(self, layer: Layer, place: Place, perturbation: Perturbation | None, hebbian: Hebbian) -> None:
        super().__init__(layer, place, perturbation, hebbian)
        self._inputs: dict[int, Tensor] = {}  # x, at the first layer
        self._outputs: dict[int, Tensor] = {}  # h_L, at the last

    def _keep(self, step: int, flight: Flight) -> None:
        if self._place.first:
            self._inputs[step] = flight.inputs
        if self._place.last:
            self._outputs[step] = flight.activity

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        layer, place = self.layer, self._place
        clean_inputs, arriving = self._halves(step, arriving)
        inputs = self._modulated_inputs(step, clean_inputs, arriving, error)
        masks = layer.masks(len(inputs), step)
        # one after the other, not as one batch: then they are what the textbook form computes, to the bit
        modulated = self._activity(layer.synapse.forward(inputs), masks)
        if place.last:
            self._learn(step, self._outputs.pop(step), modulated, clean_inputs, inputs, error)
            return None
        clean = self._activity(layer.synapse.forward(clean_inputs), masks)
        self._learn(step, clean, modulated, clean_inputs, inputs, error)
        sent = layer.outgoing(clean, masks)
        return torch.cat([sent, layer.outgoing(modulated, masks)]) if place.chain else sent

    def _halves(self, step: int, arriving: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """h'_{l-1}, and m_{l-1} if it arrives too."""
        if self._place.first:
            return self._inputs.pop(step), None
        assert arriving is not None
        if not self._place.chain:
            return arriving, None
        clean, modulated = arriving.chunk(2)
        # the second half of a message may begin anywhere, and a BLAS may pick another kernel for another alignment
        return clean, modulated if modulated.data_ptr() % _ALIGNMENT == 0 else modulated.clone()
