"""PEPITA's modulated pass as the paper writes it, and what all forms share: see the table in `forms`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.network.layer import Layer, Masks
from pipepita.network.norms import NormPass
from pipepita.network.synapse import Synapse
from pipepita.rules.forms.hebbian import Hebbian, StandardPass
from pipepita.rules.kolen_pollack import LearnedMatrix
from pipepita.rules.learner import Learner, Product
from pipepita.rules.mirror import Mirror
from pipepita.rules.product import WeightProduct
from pipepita.rules.projection import Perturbation

_TINY = torch.finfo(torch.float32).tiny


class Position(NamedTuple):
    """A layer's position in the network.

    Attributes:
        first: Whether it is the first layer.
        last: Whether it is the output layer.
        chain: Whether the modulated activity runs from layer to layer, instead of beginning anew at each.
    """

    first: bool
    last: bool
    chain: bool


class Textbook(Learner):
    """One layer of PEPITA with the modulated pass as the paper writes it.

    Args:
        layer: The layer.
        position: Its position in the network.
        perturbation: What enters at this layer; None if nothing does.
        hebbian: What an update is made of.
    """

    def __init__(self, layer: Layer, position: Position, perturbation: Perturbation | None, hebbian: Hebbian) -> None:
        self.layer, self._position, self._perturbation, self._hebbian = layer, position, perturbation, hebbian
        self.mirror: Mirror | WeightProduct | None = None
        self._learnt: LearnedMatrix | None = None
        self._feedback_products: dict[int, Product] = {}
        self._affine_products: dict[int, list[Product | None]] = {}
        self._standard_passes: dict[int, StandardPass] = {}
        self._products: dict[int, Product | None] = {}

    def let_feedback_learn(self, rate: float) -> None:
        """F_l learns from now on, at `rate` times the layer's learning rate. Nothing changes if no error enters."""
        if self._perturbation is not None and (drawn := self._perturbation.feedback) is not None:
            self._learnt = LearnedMatrix(self.layer, drawn, rate, keeps_norm=True)
            self.heads = [self._learnt.head]
            self.updated()

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        layer = self.layer
        x = layer.arrive(x)
        with self._hebbian.mode(layer):
            masks = layer.masks(x.shape[0], step)
            preactivation = self._preactivation(x)
            activity = self._activity(preactivation, masks)
            sent = self._hebbian.sent(layer, activity, masks)
        self._keep(step, StandardPass(x, preactivation, activity, sent, masks))
        self._products[step] = None if self._position.last else self._hebbian.after_standard(activity, x)
        return sent.detach()

    def _preactivation(self, x: Tensor) -> Tensor:
        return self.layer.synapse.forward(x)

    def _activity(self, preactivation: Tensor, masks: Masks) -> Tensor:
        layer = self.layer
        return layer.answer(preactivation) if self._position.last else layer.activity(preactivation, masks)

    def _keep(self, step: int, kept: StandardPass) -> None:
        self._standard_passes[step] = kept._replace(preactivation=None)

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        kept = self._standard_passes.pop(step)
        inputs = self._modulated_inputs(step, kept.inputs, arriving, error)
        self._teach_feedback(step, kept.inputs, error)
        modulated = self._activity(self._synapse(step).forward(inputs), kept.masks)
        self._learn(step, kept, modulated, inputs, error)
        return self._onward(step, kept, modulated)

    def _onward(self, step: int, kept: StandardPass, modulated: Tensor) -> Tensor | None:
        """What the next layer gets of the modulated pass. Makes the updates of scales and shifts on the way."""
        layer = self.layer
        needed = self._sends or len(layer.affines) > layer.inner_affines
        sent = layer.outgoing(modulated, kept.masks) if needed else None
        if layer.affines:
            passes = layer.affine_passes(kept.masks)
            self._affine_products[step] = [
                self._affine_product(one, kept.activity - modulated)
                if place < layer.inner_affines or sent is None
                else self._affine_product(one, kept.sent - sent)
                for place, one in enumerate(passes)
            ]
        return sent if self._sends else None

    def _affine_product(self, meets: NormPass, change: Tensor) -> Product:
        """(h_l - m_l) times n, the normalised activity of the modulated pass; h_l - m_l is that of the shift."""
        assert meets.normalized is not None
        return Product(change.view_as(meets.normalized), meets.normalized, 1.0)

    @property
    def _sends(self) -> bool:
        return self._position.chain and not self._position.last

    def _synapse(self, step: int) -> Synapse:
        """The weights that sample `step`'s modulated pass uses."""
        return self.layer.synapse

    def _modulated_inputs(self, step: int, clean: Tensor, arriving: Tensor | None, error: Tensor | None) -> Tensor:
        """m_{l-1}: `clean` + D_{l-1} if the error enters here, else what arrives."""
        if self._perturbation is None:
            assert arriving is not None
            return arriving
        assert error is not None
        feedback = self._perturbation.feedback
        if feedback is None:
            return clean + self._perturbation(step, error).view_as(clean)
        return torch.addmm(clean.flatten(1), self._perturbation.shares(error), feedback).view_as(clean)

    def _learn(self, step: int, kept: StandardPass, modulated: Tensor, inputs: Tensor, error: Tensor | None) -> None:
        """Makes the update from the standard pass, m_l and m_{l-1}."""
        if self._position.last:
            assert error is not None
            post = (modulated - kept.activity).add_(error)  # m_L - y = (m_L - h_L) + e, so the error suffices
            self._products[step] = Product(post, kept.inputs if self._hebbian.standard_inputs else inputs, 1.0)
        else:
            self._products[step] = self._hebbian.after_modulated(self.layer, kept, modulated, inputs)

    def _teach_feedback(self, step: int, clean: Tensor, error: Tensor | None) -> None:
        """If F_l learns: makes its update, from h_{l-1} and the error."""
        if self._learnt is not None:
            assert error is not None
            self._feedback_products[step] = self._learnt.product(error, clean, -1.0)

    def product(self, step: int) -> Product | None:
        return self._products.pop(step)

    def affine_products(self, step: int) -> Sequence[Product | None]:
        return self._affine_products.pop(step, [None] * len(self.layer.affines))

    def head_products(self, step: int) -> Sequence[Product | None]:
        return [self._feedback_products.pop(step, None) for _ in self.heads]

    def updated(self) -> None:
        if self._learnt is not None and self._perturbation is not None:
            self._perturbation.feedback = self._learnt.matrix()

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """If the rule aligns: aligns F_l with the product of the weights from here to the top, and returns it.

        F_l keeps its norm. While the product is zero, as before the first epoch if the output layer begins at zero, it
        has no direction, and F_l stays as it is.
        """
        if self.mirror is None:
            return above
        product = self.mirror.product(epoch, above)
        if self._perturbation is not None and (feedback := self._perturbation.feedback) is not None and product.any():
            self._perturbation.feedback = product * -(feedback.norm() / product.norm().clamp_min(_TINY))
        return product

    def evaluate(self, x: Tensor) -> Tensor:
        output = self.layer.evaluate(x)
        return self.layer.answer(output) if self._position.last else output

    def fixed(self) -> dict[str, Tensor]:
        feedback = None if self._perturbation is None or self._learnt else self._perturbation.feedback
        return {} if feedback is None else {f"{self.layer.name}.feedback": feedback}

    def memory(self) -> dict[str, Tensor]:
        """If the rule mirrors: F_l as it is now, and what the mirror has learnt."""
        if self.mirror is None:
            return {}
        learnt = {f"{self.layer.name}.mirror.{key}": value for key, value in self.mirror.memory().items()}
        return self.fixed() | learnt

    def remember(self, memory: dict[str, Tensor]) -> None:
        self.updated()
        if self.mirror is None:
            return
        for key, value in self.fixed().items():
            value.copy_(memory[key])
        self.mirror.remember({key: memory[f"{self.layer.name}.mirror.{key}"] for key in self.mirror.memory()})
