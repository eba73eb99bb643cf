"""PEPITA (Dellaferrera & Kreiman, ICML 2022): present the input to perturb, instead of propagating, the error.

    standard pass    h_0 = x,        h_l = f_l(W_l h_{l-1})
    error            e   = h_L - y
    modulated pass   m_0 = x + F e,  m_l = f_l(W_l m_{l-1})
    updates          l < L:  dW_l = (h_l - m_l) m_{l-1}^T        l = L:  dW_L = (m_L - y) m_{L-1}^T

Two forms. `textbook` computes the modulated pass as written. `difference` sends only what the error changed, so that
with samples in flight today's weights meet the (small) difference and not the input itself; at window 1 the two agree
up to rounding:

    a_l = W_l h_{l-1}   kept from the standard pass                  D_0 = F e
    m_l = f_l(a_l + W_l D_{l-1})       D_l = m_l - h_l                (hidden)
    m_L = softmax(W_L (h_{L-1} + D_{L-1}))                            (output: a fresh forward)

With `modulate="all"` every layer has its own F_l and starts from h_{l-1} + F_l e: no chain, all layers update at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipepita.errors import UserError, unknown
from pipepita.layers.layer import Layer, Masks
from pipepita.randomness import generator, uniform
from pipepita.rules.rule import Learner, Product, Reads
from pipepita.schedule import MODULATED, STANDARD

FORMS = ("difference", "textbook")
MODULATES = ("input", "all")
PRESYNAPTICS = ("modulated", "standard")


@dataclass(frozen=True)
class Pepita:
    """The rule and its options.

    form: "difference" or "textbook". modulate: "input" (the paper) or "all" (every layer gets its own F_l e).
    presynaptic: which pass's activity stands in the update, "modulated" (m_{l-1}, the paper's choice) or "standard".
    f_scale: F ~ U(-b, b) with b = f_scale * sqrt(6 / fan_in), fan_in the width that F projects onto (Appendix A).
    Raises `UserError` for a value that is none of these.
    """

    form: str = "difference"
    modulate: str = "input"
    presynaptic: str = "modulated"
    f_scale: float = 0.05
    name: str = field(default="pepita", init=False)
    passes: tuple[str, ...] = field(default=(STANDARD, MODULATED), init=False)

    def __post_init__(self) -> None:
        choices = {"form": FORMS, "modulate": MODULATES, "presynaptic": PRESYNAPTICS}
        for option, known in choices.items():
            if getattr(self, option) not in known:
                raise unknown(option, getattr(self, option), known)
        if not isinstance(self.f_scale, int | float) or not 0 <= self.f_scale < float("inf"):
            raise UserError(f"f_scale {self.f_scale} is not a finite number of at least 0 (the paper: 0.05)")

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """The modulated pass runs down the layers from the error, or with modulate="all" begins at every one."""
        if name == STANDARD:
            return Reads(upstream=True)
        if self._projects(number):
            return Reads(error=True)
        return Reads(upstream=True, error=number == layers)

    def _projects(self, number: int) -> bool:
        return number == 1 or self.modulate == "all"

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with its feedback matrix F_l, drawn from (seed, "feedback", l), where it needs one."""
        feedback = None
        if self._projects(layer.number):
            bound = self.f_scale * (6 / layer.width) ** 0.5
            feedback = uniform((classes, layer.width), bound, generator(seed, "feedback", layer.number))
        sends = layer.number < layers and not self._projects(layer.number + 1)
        kind = _Output if layer.number == layers else _HIDDEN[self.form]
        return kind(layer, self, feedback, sends)


@dataclass
class _Flight:
    """What one layer keeps of one sample between its two passes: (B, ...) tensors."""

    inputs: Tensor  # h_{l-1}
    preactivation: Tensor  # a_l; the modulated pass works in it
    activity: Tensor  # h_l, before pooling; the output layer's softmax
    sent: Tensor  # h_l, after pooling
    masks: Masks = ()
    product: Product | None = None


class _Learner:
    """What hidden and output layers share: flights, the projected error, the presynaptic term."""

    def __init__(self, layer: Layer, rule: Pepita, feedback: Tensor | None, sends: bool) -> None:
        device = layer.parameters[0].device
        self.layer, self.rule, self._sends = layer, rule, sends
        self._feedback = None if feedback is None else feedback.to(device)  # F_l^T: (classes, width)
        self._flights: dict[int, _Flight] = {}

    def standard(self, step: int, x: Tensor) -> Tensor:
        layer = self.layer
        x = layer.arrive(x)
        masks = layer.masks(len(x), step)
        preactivation = self._preactivation(x)
        activity = layer.activity(preactivation, masks)
        sent = layer.outgoing(activity, masks)
        if activity is preactivation:  # a linear layer: the modulated pass overwrites one of them
            preactivation = preactivation.clone()
        self._flights[step] = _Flight(x, preactivation, activity, sent, masks)
        return sent

    def _preactivation(self, x: Tensor) -> Tensor:
        return self.layer.synapse.forward(x)

    def product(self, step: int) -> Product:
        product = self._flights.pop(step).product
        assert product is not None, f"layer {self.layer.number} has no modulated pass of sample {step}"
        return product

    def evaluate(self, x: Tensor) -> Tensor:
        return self.layer.evaluate(x)

    def fixed(self) -> dict[str, Tensor]:
        return {} if self._feedback is None else {f"{self.layer.name}.feedback": self._feedback}

    def _plus_projected(self, inputs: Tensor, error: Tensor) -> Tensor:
        """h_{l-1} + F_l e, in the shape of `inputs`."""
        assert self._feedback is not None
        return torch.addmm(inputs.flatten(1), error, self._feedback).view_as(inputs)

    def _presynaptic(self, flight: _Flight, modulated: Tensor) -> Tensor:
        return modulated if self.rule.presynaptic == "modulated" else flight.inputs


class _Textbook(_Learner):
    """A hidden layer, the modulated pass as written."""

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        layer, flight = self.layer, self._flights[step]
        if self._feedback is not None:
            assert error is not None
            arriving = self._plus_projected(flight.inputs, error)
        assert arriving is not None
        modulated = layer.activity(layer.synapse.forward(arriving), flight.masks)
        flight.product = Product(flight.activity - modulated, self._presynaptic(flight, arriving), 1.0)
        return layer.outgoing(modulated, flight.masks) if self._sends else None


class _Difference(_Learner):
    """A hidden layer, the modulated pass as a difference to the standard one."""

    # W F is as good until the next update; computed along with a standard pass it costs next to nothing
    _through: Tensor | None = None

    def _preactivation(self, x: Tensor) -> Tensor:
        if not self._goes_through(x):
            return super()._preactivation(x)
        preactivation, self._through = self.layer.synapse.forward_and_through(x, self._basis())
        return preactivation

    def product(self, step: int) -> Product:
        self._through = None
        return super().product(step)

    def _basis(self) -> Tensor:
        """F_l^T as a batch of inputs, one a class."""
        assert self._feedback is not None
        return self._feedback.view(-1, *self.layer.in_shape)

    def _goes_through(self, items: Tensor) -> bool:
        """Whether W (F e) = (W F) e pays: W F has only as many columns as there are classes, F e as there are items."""
        return self._feedback is not None and len(items) > len(self._feedback)

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        layer, flight = self.layer, self._flights[step]
        if self._feedback is not None:
            assert error is not None
            preactivation, inputs = self._projected(flight, error)
        else:
            assert arriving is not None
            preactivation = layer.synapse.drive(arriving, onto=flight.preactivation)
            inputs = arriving + flight.inputs if self.rule.presynaptic == "modulated" else flight.inputs
        modulated = layer.activity(preactivation, flight.masks)
        going = None
        if self._sends and layer.pools:
            going = layer.outgoing(modulated, flight.masks) - flight.sent
        change = modulated.sub_(flight.activity)
        flight.product = Product(change, inputs, -1.0)
        return change if self._sends and going is None else going

    def _projected(self, flight: _Flight, error: Tensor) -> tuple[Tensor, Tensor]:
        """a_l + W_l F_l e, and the presynaptic term."""
        assert self._feedback is not None
        synapse = self.layer.synapse
        inputs = flight.inputs
        if self.rule.presynaptic == "modulated":
            inputs = self._plus_projected(flight.inputs, error)
        if self._goes_through(error):
            if self._through is None:
                self._through = synapse.through(self._basis())
            driven = synapse.mix(error, self._through, onto=flight.preactivation)
        else:
            driven = synapse.drive((error @ self._feedback).view_as(flight.inputs), onto=flight.preactivation)
        return driven, inputs


_HIDDEN: dict[str, type[_Difference] | type[_Textbook]] = {"difference": _Difference, "textbook": _Textbook}


class _Output(_Learner):
    """The output layer: softmax, and the modulated pass's error as teaching signal. A fresh forward in both forms."""

    def standard(self, step: int, x: Tensor) -> Tensor:
        x = self.layer.arrive(x)
        preactivation = self.layer.synapse.forward(x)
        output = preactivation.softmax(1)
        self._flights[step] = _Flight(x, preactivation, output, output)
        return output

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        flight = self._flights[step]
        assert error is not None
        if self._feedback is not None:
            inputs = self._plus_projected(flight.inputs, error)
        else:
            assert arriving is not None
            inputs = arriving + flight.inputs if self.rule.form == "difference" else arriving
        modulated = self.layer.synapse.forward(inputs).softmax(1)
        # m_L - y = (m_L - h_L) + e, so the target need not travel
        post = (modulated - flight.activity).add_(error)
        flight.product = Product(post, self._presynaptic(flight, inputs), 1.0)
        return None

    def evaluate(self, x: Tensor) -> Tensor:
        return self.layer.evaluate(x).softmax(1)
