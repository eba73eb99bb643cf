"""PEPITA with an error of the layer's own: both passes of a layer follow each other, and nothing is locked or stale.

    read-out         p   = softmax(R_l h_{l-1}),     e_l = p - y          R_l <- R_l - eta e_l h_{l-1}^T
                     (without softmax if numbers are predicted)
    modulated pass   m_{l-1} = h_{l-1} + F_l e_l     F_l = -R_l^T, scaled to the norm that F_l is drawn with
    update           dW_l = (h_l - m_l) m_{l-1}^T    output layer: dW_L = (h_L - y) h_{L-1}^T

A read-out of the layer's own input takes the place of the broadcast error, and its transpose that of the projection.
The target travels with the sample, as in `pipepita.rules.local`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.rules.forms.hebbian import Hebbian, StandardPass
from pipepita.rules.kolen_pollack import LearnedMatrix
from pipepita.rules.learner import Learner, Product


class LocalError(Learner):
    """One layer that modulates its own input.

    Args:
        layer: The layer.
        drawn: F_l^T in the beginning, (classes, width of h_{l-1}); None for the output layer, which needs none.
        rate: The learning rate of the read-out, as a multiple of the layer's.
        hebbian: What an update is made of.
    """

    def __init__(self, layer: Layer, drawn: Tensor | None, rate: float, hebbian: Hebbian) -> None:
        self.layer, self._hebbian = layer, hebbian
        self._readout = None if drawn is None else LearnedMatrix(layer, -drawn, rate, keeps_norm=True)
        self.heads = [] if self._readout is None else [self._readout.head]
        self._products: dict[int, Product] = {}
        self._readout_products: dict[int, Product] = {}
        self._affine_products: dict[int, list[Product | None]] = {}

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        assert target is not None
        layer = self.layer
        x = layer.arrive(x)
        if self._readout is None:
            output = layer.answer(layer.synapse.forward(x))
            self._products[step] = Product(output - target, x, 1.0)
            return output
        with self._hebbian.mode(layer):
            masks = layer.masks(x.shape[0], step)
            preactivation = layer.synapse.forward(x)
            activity = layer.activity(preactivation, masks)
            sent = self._hebbian.sent(layer, activity, masks)
        error = layer.answer(self._readout.head.forward(x.flatten(1))) - target
        self._readout_products[step] = self._readout.product(error, x, 1.0)
        change = (error @ self._readout.matrix()).neg_().view_as(x)
        modulated = layer.activity(layer.synapse.drive(change, onto=preactivation.clone()), masks)
        kept = StandardPass(x, preactivation, activity, sent, masks)
        self._products[step] = self._hebbian.after_modulated(layer, kept, modulated, x + change)
        # scales and shifts behind the pooling stay as they are: the modulated pass does not go that far
        self._affine_products[step] = [
            None if meets.normalized is None or place >= layer.inner_affines
            else Product((activity - modulated).view_as(meets.normalized), meets.normalized, 1.0)
            for place, meets in enumerate(layer.affine_passes(masks))
        ]  # fmt: skip
        return sent.detach()

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        raise NotImplementedError("with an error of the layer's own there is no second pass")

    def product(self, step: int) -> Product | None:
        return self._products.pop(step)

    def affine_products(self, step: int) -> Sequence[Product | None]:
        return self._affine_products.pop(step, [None] * len(self.layer.affines))

    def head_products(self, step: int) -> Sequence[Product | None]:
        return [self._readout_products.pop(step) for _ in self.heads]

    def evaluate(self, x: Tensor) -> Tensor:
        output = self.layer.evaluate(x)
        return self.layer.answer(output) if self._readout is None else output
