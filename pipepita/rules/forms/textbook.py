"""PEPITA's modulated pass as the paper writes it, and what all forms of it share: see the table in `forms`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.network.layer import Layer, Masks
from pipepita.network.synapse import Synapse
from pipepita.rules.forms.hebbian import Hebbian
from pipepita.rules.learner import Learner, Product
from pipepita.rules.mirror import Mirror
from pipepita.rules.projection import Perturbation

_TINY = torch.finfo(torch.float32).tiny


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


class Textbook(Learner):
    """The modulated pass as written, and what all forms share.

    perturbation: where the error enters at this layer. hebbian: what an update is made of.
    """

    def __init__(self, layer: Layer, place: Place, perturbation: Perturbation | None, hebbian: Hebbian) -> None:
        self.layer, self._place, self._perturbation, self._hebbian = layer, place, perturbation, hebbian
        self.mirror: Mirror | None = None
        self._flights: dict[int, Flight] = {}
        self._products: dict[int, Product | None] = {}

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        layer = self.layer
        x = layer.arrive(x)
        masks = layer.masks(len(x), step)
        preactivation = self._preactivation(x)
        activity = self._activity(preactivation, masks)
        sent = layer.outgoing(activity, masks)
        self._keep(step, Flight(x, preactivation, activity, sent, masks))
        self._products[step] = None if self._place.last else self._hebbian.early(activity, x)
        return sent

    def _preactivation(self, x: Tensor) -> Tensor:
        return self.layer.synapse.forward(x)

    def _activity(self, preactivation: Tensor, masks: Masks) -> Tensor:
        return preactivation.softmax(1) if self._place.last else self.layer.activity(preactivation, masks)

    def _keep(self, step: int, flight: Flight) -> None:
        self._flights[step] = flight._replace(preactivation=None)

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        flight = self._flights.pop(step)
        inputs = self._modulated_inputs(step, flight.inputs, arriving, error)
        modulated = self._activity(self._synapse(step).forward(inputs), flight.masks)
        self._learn(step, flight.activity, modulated, flight.inputs, inputs, error)
        return self.layer.outgoing(modulated, flight.masks) if self._sends else None

    @property
    def _sends(self) -> bool:
        return self._place.chain and not self._place.last

    def _synapse(self, step: int) -> Synapse:
        """What sample `step`'s modulated pass goes through."""
        return self.layer.synapse

    def _modulated_inputs(self, step: int, clean: Tensor, arriving: Tensor | None, error: Tensor | None) -> Tensor:
        """m_{l-1}: `clean` + D_{l-1} where the error enters here, else what arrives."""
        if self._perturbation is None:
            assert arriving is not None
            return arriving
        assert error is not None
        feedback = self._perturbation.feedback
        if feedback is None:
            return clean + self._perturbation(step, error).view_as(clean)
        return torch.addmm(clean.flatten(1), self._perturbation.shares(error), feedback).view_as(clean)

    def _learn(
        self, step: int, clean: Tensor, modulated: Tensor, clean_inputs: Tensor, inputs: Tensor, error: Tensor | None
    ) -> None:
        """Sets the update from both passes' activities: h_l, m_l, h_{l-1}, m_{l-1}."""
        if self._place.last:
            assert error is not None
            post = (modulated - clean).add_(error)  # m_L - y = (m_L - h_L) + e, so the target need not travel
            self._products[step] = Product(post, clean_inputs if self._hebbian.clean else inputs, 1.0)
        else:
            self._products[step] = self._hebbian.late(clean, modulated, clean_inputs, inputs)

    def product(self, step: int) -> Product | None:
        return self._products.pop(step)

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """F_l along the product of the weights from here up, where the rule mirrors; returns that product."""
        if self.mirror is None:
            return above
        product = self.mirror.product(epoch, above)
        if self._perturbation is not None and (drawn := self._perturbation.feedback) is not None:
            self._perturbation.feedback = product * -(drawn.norm() / product.norm().clamp_min(_TINY))
        return product

    def evaluate(self, x: Tensor) -> Tensor:
        output = self.layer.evaluate(x)
        return output.softmax(1) if self._place.last else output

    def fixed(self) -> dict[str, Tensor]:
        feedback = None if self._perturbation is None else self._perturbation.feedback
        return {} if feedback is None else {f"{self.layer.name}.feedback": feedback}

    def memory(self) -> dict[str, Tensor]:
        """Where the rule mirrors: F_l as it is by now, and what the mirror has learnt."""
        if self.mirror is None:
            return {}
        learnt = {f"{self.layer.name}.mirror.{key}": value for key, value in self.mirror.memory().items()}
        return self.fixed() | learnt

    def remember(self, memory: dict[str, Tensor]) -> None:
        if self.mirror is None:
            return
        for key, value in self.fixed().items():
            value.copy_(memory[key])
        self.mirror.remember({key: memory[f"{self.layer.name}.mirror.{key}"] for key in self.mirror.memory()})
