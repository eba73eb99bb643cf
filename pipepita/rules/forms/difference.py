"""The difference form of PEPITA's modulated pass: see the table in `forms`."""

from __future__ import annotations

from torch import Tensor

from pipepita.rules.forms.textbook import Flight, Textbook
from pipepita.rules.learner import Product


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
