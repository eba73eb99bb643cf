"""The recompute form of PEPITA's modulated pass: see the table in `forms`."""

from __future__ import annotations

import torch
from torch import Tensor

from pipepita.network.layer import Layer, Masks, again
from pipepita.network.norms import NormPass
from pipepita.rules.forms.hebbian import Hebbian, StandardPass
from pipepita.rules.forms.textbook import Position, Textbook
from pipepita.rules.projection import Perturbation

_ALIGNMENT = 64


class Recompute(Textbook):
    """The clean pass, from the input that layer 1 has kept, runs with today's weights next to the modulated pass.

    A message up the layers holds [h'_l; m_l], (2B, *out_shape). So layers above the first keep nothing of a sample,
    except for the output layer, which keeps its answer to get the target from it. If the error enters at every layer,
    m_{l-1} = h'_{l-1} + F_l e, and a message holds only h'_l; the layers then no longer update at once. The same
    dropout masks are drawn again. (As in every form, the message of the standard pass keeps its slot in the channel
    between two stages until the update.)
    """

    def __init__(self, layer: Layer, position: Position, perturbation: Perturbation | None, hebbian: Hebbian) -> None:
        super().__init__(layer, position, perturbation, hebbian)
        self._inputs: dict[int, Tensor] = {}  # x, at the first layer
        self._outputs: dict[int, Tensor] = {}  # h_L, at the last
        self._statistics: dict[int, Masks] = {}  # of batch normalisations, without the dropout masks

    def _keep(self, step: int, kept: StandardPass) -> None:
        if self._position.first:
            self._inputs[step] = kept.inputs
        if self._position.last:
            self._outputs[step] = kept.activity
        self._statistics[step] = [meets for meets in again(kept.masks) if isinstance(meets, NormPass)]

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        layer, position = self.layer, self._position
        clean_inputs, arriving = self._halves(step, arriving)
        inputs = self._modulated_inputs(step, clean_inputs, arriving, error)
        self._teach_feedback(step, clean_inputs, error)
        masks = self._masks(len(inputs), step)
        # not as one batch: one after the other they equal the textbook form to the bit
        modulated = self._activity(layer.synapse.forward(inputs), masks)
        if position.last:
            output = self._outputs.pop(step)
            self._learn(step, StandardPass(clean_inputs, None, output, output, masks), modulated, inputs, error)
            return None
        own = again(masks)
        clean = self._activity(layer.synapse.forward(clean_inputs), own)
        sent = layer.outgoing(clean, own)
        kept = StandardPass(clean_inputs, None, clean, sent, masks)
        self._learn(step, kept, modulated, inputs, error)
        message = self._onward(step, kept, modulated)
        return sent if message is None else torch.cat([sent, message])

    def _masks(self, batch: int, step: int) -> Masks:
        """The dropout masks again, with the statistics of the standard pass."""
        statistics = iter(self._statistics.pop(step))
        drawn = self.layer.masks(batch, step)
        return [next(statistics) if isinstance(meets, NormPass) else meets for meets in drawn]

    def _halves(self, step: int, arriving: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """h'_{l-1}, and m_{l-1} if the message holds it."""
        if self._position.first:
            return self._inputs.pop(step), None
        assert arriving is not None
        if not self._position.chain:
            return arriving, None
        clean, modulated = arriving.chunk(2)
        # the second half of a message may begin anywhere, and a BLAS may pick another kernel for another alignment
        return clean, modulated if modulated.data_ptr() % _ALIGNMENT == 0 else modulated.clone()
