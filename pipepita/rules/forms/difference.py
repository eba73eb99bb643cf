"""The difference form of PEPITA's modulated pass: see the table in `forms`."""

from __future__ import annotations

from torch import Tensor

from pipepita.rules.forms.hebbian import StandardPass
from pipepita.rules.forms.textbook import Textbook
from pipepita.rules.learner import Product


class Difference(Textbook):
    """Only the change that the error makes runs up the layers, and only it is multiplied with today's weights."""

    # W F, valid until the next update; computed together with a standard pass it costs almost nothing
    _through: Tensor | None = None

    def _preactivation(self, x: Tensor) -> Tensor:
        if not self._goes_through(x) or self.layer.looks_ahead:  # W F is needed with the layer's own weights
            return super()._preactivation(x)
        preactivation, self._through = self.layer.synapse.forward_and_through(x, self._basis())
        return preactivation

    def _keep(self, step: int, kept: StandardPass) -> None:
        if kept.activity is kept.preactivation:  # no activation function; the modulated pass overwrites one of the two
            kept = kept._replace(preactivation=kept.activity.detach().clone())
        self._standard_passes[step] = kept

    def product(self, step: int) -> Product | None:
        self._through = None
        return super().product(step)

    def updated(self) -> None:
        self._through = None
        super().updated()

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        self._through = None
        return super().align(epoch, above)

    @property
    def _feedback(self) -> Tensor | None:
        return None if self._perturbation is None else self._perturbation.feedback

    def _basis(self) -> Tensor:
        """F_l^T as a batch of inputs, one per class."""
        assert self._feedback is not None
        return self._feedback.view(-1, *self.layer.in_shape)

    def _goes_through(self, items: Tensor) -> bool:
        """Whether (W F) e is cheaper than W (F e): W F has one column per class, F e one column per item."""
        return self._feedback is not None and items.shape[0] > self._feedback.shape[0] and not self._position.last

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        if self._position.last:
            modulated_inputs = None if arriving is None else arriving + self._standard_passes[step].inputs
            return super().second(step, modulated_inputs, error)
        layer, kept = self.layer, self._standard_passes.pop(step)
        assert kept.preactivation is not None
        preactivation = self._driven(step, kept.preactivation, kept.inputs, arriving, error)
        self._teach_feedback(step, kept.inputs, error)
        inputs = kept.inputs
        if not self._hebbian.standard_inputs:
            modulated_inputs = None if arriving is None else arriving + kept.inputs
            inputs = self._modulated_inputs(step, kept.inputs, modulated_inputs, error)
        modulated = layer.activity(preactivation, kept.masks)
        message = self._onward(step, kept, modulated) if layer.pools or layer.affines else None
        message = message - kept.sent if message is not None and layer.pools else None
        sends_change = self._sends and message is None
        if self._hebbian.two_products or self._hebbian.compares_sent:
            self._products[step] = self._hebbian.after_modulated(layer, kept, modulated, inputs)
            return modulated - kept.activity if sends_change else message
        change = modulated.sub_(kept.activity)
        self._products[step] = Product(change, inputs, -1.0)
        return change if sends_change else message

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
