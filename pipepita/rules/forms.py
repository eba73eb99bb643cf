"""The forms of PEPITA's modulated pass: which weights it meets while other samples are in flight.

Let W be today's weights, W' those that the same sample's standard pass saw, window - 1 updates ago.

| form       | hidden layer's modulated pass | clean activity in the update | kept of a sample in flight |
|------------|-------------------------------|------------------------------|----------------------------|
| textbook   | m_l = f_l(W m_{l-1})          | h_l = f_l(W' h_{l-1})        | activities                 |
| difference | m_l = f_l(a_l + W D_{l-1})    | h_l = f_l(a_l)               | activities                 |

*textbook* is the paper's equation as written; in flight, h_l - m_l holds (W' - W) h_{l-1}, which feeds back.
*difference* keeps a_l = W' h_{l-1} and sends only D_l = m_l - h_l on, with D_0 = F e
(D_{l-1} = F_l e where every layer projects).

At window 1 the two agree up to rounding.

A new form is one class here and one entry in `FORMS`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.layers.layer import Layer, Masks
from pipepita.layers.synapse import Synapse
from pipepita.rules.rule import Product


class Place(NamedTuple):
    """Where a layer stands. chain: the modulated activity comes from the layer below, and is not projected anew."""

    first: bool
    last: bool
    chain: bool


class Flight(NamedTuple):
    """What one layer keeps of one sample between its two passes: (B, ...) tensors."""

    inputs: Tensor  # h_{l-1}
    preactivation: Tensor | None  # a_l, where the form needs it
    activity: Tensor  # h_l, before pooling; the output layer's softmax
    sent: Tensor  # h_l, after pooling
    masks: Masks


class Textbook:
    """The modulated pass as written, and what all forms share.

    feedback: F_l^T, (classes, width), where the error enters at this layer. clean_presynaptic: whether h_{l-1} stands
    in the update instead of m_{l-1}.
    """

    def __init__(self, layer: Layer, place: Place, feedback: Tensor | None, clean_presynaptic: bool) -> None:
        self.layer, self._place, self._clean_presynaptic = layer, place, clean_presynaptic
        self._feedback = None if feedback is None else feedback.to(layer.parameters[0].device)
        self._flights: dict[int, Flight] = {}
        self._products: dict[int, Product] = {}

    def standard(self, step: int, x: Tensor) -> Tensor:
        layer = self.layer
        x = layer.arrive(x)
        masks = layer.masks(len(x), step)
        preactivation = self._preactivation(x)
        activity = self._activity(preactivation, masks)
        sent = layer.outgoing(activity, masks)
        self._keep(step, Flight(x, preactivation, activity, sent, masks))
        return sent

    def _preactivation(self, x: Tensor) -> Tensor:
        return self.layer.synapse.forward(x)

    def _activity(self, preactivation: Tensor, masks: Masks) -> Tensor:
        return preactivation.softmax(1) if self._place.last else self.layer.activity(preactivation, masks)

    def _keep(self, step: int, flight: Flight) -> None:
        self._flights[step] = flight._replace(preactivation=None)

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        flight = self._flights.pop(step)
        inputs = self._modulated_inputs(flight.inputs, arriving, error)
        modulated = self._activity(self._synapse(step).forward(inputs), flight.masks)
        self._learn(step, flight.activity, modulated, flight.inputs, inputs, error)
        return self.layer.outgoing(modulated, flight.masks) if self._sends else None

    @property
    def _sends(self) -> bool:
        return self._place.chain and not self._place.last

    def _synapse(self, step: int) -> Synapse:
        """What sample `step`'s modulated pass goes through."""
        return self.layer.synapse

    def _modulated_inputs(self, clean: Tensor, arriving: Tensor | None, error: Tensor | None) -> Tensor:
        """m_{l-1}: `clean` + F_l e where the error enters here, else what arrives."""
        if self._feedback is None:
            assert arriving is not None
            return arriving
        assert error is not None
        return torch.addmm(clean.flatten(1), error, self._feedback).view_as(clean)

    def _learn(
        self, step: int, clean: Tensor, modulated: Tensor, clean_inputs: Tensor, inputs: Tensor, error: Tensor | None
    ) -> None:
        """Sets the update from both passes' activities: h_l, m_l, h_{l-1}, m_{l-1}."""
        if self._place.last:
            assert error is not None
            post = (modulated - clean).add_(error)  # m_L - y = (m_L - h_L) + e, so the target need not travel
        else:
            post = clean - modulated
        self._products[step] = Product(post, clean_inputs if self._clean_presynaptic else inputs, 1.0)

    def product(self, step: int) -> Product:
        return self._products.pop(step)

    def evaluate(self, x: Tensor) -> Tensor:
        output = self.layer.evaluate(x)
        return output.softmax(1) if self._place.last else output

    def fixed(self) -> dict[str, Tensor]:
        return {} if self._feedback is None else {f"{self.layer.name}.feedback": self._feedback}


class Difference(Textbook):
    """Only what the error changed runs up the layers, and meets today's weights."""

    # W F is as good until the next update; computed along with a standard pass it costs next to nothing
    _through: Tensor | None = None

    def _preactivation(self, x: Tensor) -> Tensor:
        if not self._goes_through(x):
            return super()._preactivation(x)
        preactivation, self._through = self.layer.synapse.forward_and_through(x, self._basis())
        return preactivation

    def _keep(self, step: int, flight: Flight) -> None:
        if flight.activity is flight.preactivation:  # a linear layer: the modulated pass overwrites one of them
            flight = flight._replace(preactivation=flight.preactivation.clone())
        self._flights[step] = flight

    def product(self, step: int) -> Product:
        self._through = None
        return super().product(step)

    def _basis(self) -> Tensor:
        """F_l^T as a batch of inputs, one a class."""
        assert self._feedback is not None
        return self._feedback.view(-1, *self.layer.in_shape)

    def _goes_through(self, items: Tensor) -> bool:
        """Whether W (F e) = (W F) e pays: W F has only as many columns as there are classes, F e as there are items."""
        return self._feedback is not None and len(items) > len(self._feedback) and not self._place.last

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        if self._place.last:
            whole = None if arriving is None else arriving + self._flights[step].inputs
            return super().second(step, whole, error)
        layer, flight = self.layer, self._flights.pop(step)
        assert flight.preactivation is not None
        preactivation = self._driven(flight.preactivation, flight.inputs, arriving, error)
        inputs = flight.inputs
        if not self._clean_presynaptic:
            whole = None if arriving is None else arriving + flight.inputs
            inputs = self._modulated_inputs(flight.inputs, whole, error)
        modulated = layer.activity(preactivation, flight.masks)
        going = None
        if self._sends and layer.pools:
            going = layer.outgoing(modulated, flight.masks) - flight.sent
        change = modulated.sub_(flight.activity)
        self._products[step] = Product(change, inputs, -1.0)
        return change if self._sends and going is None else going

    def _driven(self, onto: Tensor, inputs: Tensor, arriving: Tensor | None, error: Tensor | None) -> Tensor:
        """onto <- onto + W_l D_{l-1}"""
        synapse = self.layer.synapse
        if self._feedback is None:
            assert arriving is not None
            return synapse.drive(arriving, onto=onto)
        assert error is not None
        if not self._goes_through(error):
            return synapse.drive((error @ self._feedback).view_as(inputs), onto=onto)
        if self._through is None:
            self._through = synapse.through(self._basis())
        return synapse.mix(error, self._through, onto=onto)


FORMS: dict[str, type[Textbook]] = {
    "difference": Difference,
    "textbook": Textbook,
}
