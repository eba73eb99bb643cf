"""The forms of PEPITA's modulated pass: which weights it meets while other samples are in flight.

Let W be today's weights, W' those that the same sample's standard pass saw, window - 1 updates ago.

| form       | hidden layer's modulated pass | clean activity in the update | kept of a sample in flight |
|------------|-------------------------------|------------------------------|----------------------------|
| textbook   | m_l = f_l(W m_{l-1})          | h_l = f_l(W' h_{l-1})        | activities                 |
| difference | m_l = f_l(a_l + W D_{l-1})    | h_l = f_l(a_l)               | activities                 |
| stash      | m_l = f_l(W' m_{l-1})         | h_l = f_l(W' h_{l-1})        | activities and weights     |
| recompute  | m_l = f_l(W m_{l-1})          | h'_l = f_l(W h'_{l-1})       | the input                  |

*textbook* is the paper's equation as written; in flight, h_l - m_l holds (W' - W) h_{l-1}, which feeds back. The others
compare two activities of the same weights. *difference* keeps a_l = W' h_{l-1} and sends only D_l = m_l - h_l on, with
D_0 = F e (D_{l-1} = F_l e where every layer projects). *stash* (PipeDream's weight stashing) copies the weights at each
standard pass. *recompute* runs the clean pass again, next to the modulated one.

The output layer's modulated pass is a fresh forward in every form, with W, or W' where they are stashed. All four apply
the update to W. At window 1, W' is W: stash and recompute are textbook bit for bit, difference up to rounding.

A new form is one class here and one entry in `FORMS`.
"""

from __future__ import annotations

import copy
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from pipepita.network.layer import Layer, Masks
from pipepita.network.synapse import Synapse
from pipepita.rules.mirror import Mirror
from pipepita.rules.projection import Perturbation
from pipepita.rules.rule import Product

_ALIGNMENT = 64
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


class Hebbian:
    """What a hidden layer's update is made of: with dW_l = (h_l - m_l) m_{l-1}^T as in the paper, or one of these.

    | presynaptic | dW_l                                                                  | source                   |
    |-------------|-----------------------------------------------------------------------|--------------------------|
    | modulated   | (h_l - m_l) m_{l-1}^T                                                 | section 3                |
    | standard    | (h_l - m_l) h_{l-1}^T                                                 | section 3                |
    | own         | h_l h_{l-1}^T - m_l m_{l-1}^T                                         | Srinivasan et al. 2024   |
    | two-step    | h_l h_{l-1}^T after the standard pass, -m_l m_{l-1}^T after the other | the same (time-local)    |
    """

    def __init__(self, presynaptic: str) -> None:
        self.clean = presynaptic == "standard"
        self.apart = presynaptic in ("own", "two-step")
        self._two_steps = presynaptic == "two-step"

    def early(self, activity: Tensor, inputs: Tensor) -> Product | None:
        """The update after the standard pass, if there is one."""
        return Product(activity, inputs, 1.0) if self._two_steps else None

    def late(self, clean: Tensor, modulated: Tensor, clean_inputs: Tensor, inputs: Tensor) -> Product:
        """The update after the modulated pass, from h_l, m_l, h_{l-1} and m_{l-1}."""
        if self._two_steps:
            return Product(modulated, inputs, -1.0)
        if self.apart:  # as one product of twice the items; a synapse divides by their number
            return Product(torch.cat([clean, -modulated]), torch.cat([clean_inputs, inputs]), 2.0)
        return Product(clean - modulated, clean_inputs if self.clean else inputs, 1.0)


PRESYNAPTICS = ("modulated", "standard", "own", "two-step")


class Textbook:
    """The modulated pass as written, and what all forms share.

    perturbation: where the error enters at this layer. hebbian: what an update is made of.
    """

    # whether the modulated pass brings every layer the clean activity of the one below, too
    clean_travels: ClassVar[bool] = False

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

    def updated(self) -> None:
        """Nothing to do."""

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """F_l along the product of the weights from here up, if the rule mirrors; returns that product."""
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

    def product(self, step: int) -> Product | None:
        self._through = None
        return super().product(step)

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        self._through = None
        return super().align(epoch, above)

    @property
    def _feedback(self) -> Tensor | None:
        return None if self._perturbation is None else self._perturbation.feedback

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
        preactivation = self._driven(step, flight.preactivation, flight.inputs, arriving, error)
        inputs = flight.inputs
        if not self._hebbian.clean:
            whole = None if arriving is None else arriving + flight.inputs
            inputs = self._modulated_inputs(step, flight.inputs, whole, error)
        modulated = layer.activity(preactivation, flight.masks)
        going = None
        if self._sends and layer.pools:
            going = layer.outgoing(modulated, flight.masks) - flight.sent
        if self._hebbian.apart:
            self._products[step] = self._hebbian.late(flight.activity, modulated, flight.inputs, inputs)
            change = modulated - flight.activity
        else:
            change = modulated.sub_(flight.activity)
            self._products[step] = Product(change, inputs, -1.0)
        return change if self._sends and going is None else going

    def _driven(self, step: int, onto: Tensor, inputs: Tensor, arriving: Tensor | None, error: Tensor | None) -> Tensor:
        """onto <- onto + W_l D_{l-1}"""
        synapse = self.layer.synapse
        if self._perturbation is None:
            assert arriving is not None
            return synapse.drive(arriving, onto=onto)
        assert error is not None
        if not self._goes_through(error):
            return synapse.drive(self._perturbation(step, error).view_as(inputs), onto=onto)
        if self._through is None:
            self._through = synapse.through(self._basis())
        return synapse.mix(self._perturbation.shares(error), self._through, onto=onto)


class Stash(Textbook):
    """PipeDream's weight stashing: the modulated pass goes through a copy of the weights that the standard pass saw."""

    def __init__(self, layer: Layer, place: Place, perturbation: Perturbation | None, hebbian: Hebbian) -> None:
        super().__init__(layer, place, perturbation, hebbian)
        self._stashed: dict[int, Synapse] = {}  # a copy a sample in flight, so as many as the window

    def _keep(self, step: int, flight: Flight) -> None:
        super()._keep(step, flight)
        self._stashed[step] = copy.deepcopy(self.layer.synapse)

    def _synapse(self, step: int) -> Synapse:
        return self._stashed.pop(step)


class Recompute(Textbook):
    """The clean pass runs again with today's weights, next to the modulated one, from the input that layer 1 kept.

    A message up the layers holds [h'_l; m_l], (2B, *out_shape), so that a layer above the first keeps nothing of a
    sample (the output layer: its softmax, for the target). Where every layer projects, m_{l-1} = h'_{l-1} + F_l e, and
    only h'_l travels: the layers then no longer update at once. Dropout masks are drawn again. (Between stages the slot
    that the standard pass's message lies in stays taken until the update, as in every form.)
    """

    clean_travels = True

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


FORMS: dict[str, type[Textbook]] = {
    "difference": Difference,
    "textbook": Textbook,
    "stash": Stash,
    "recompute": Recompute,
}
