"""What rules with a local gradient share: the standard pass, and how a teaching signal becomes an update.

    a_l = W_l h_{l-1},    h_l = f_l(a_l)        f_l: activation, norm, dropout and pooling
    delta_l = (signal at h_l) f_l'(a_l)         (output layer: the error itself)
    dW_l = delta_l h_{l-1}^T

The rules differ only in the signal: where it comes from, and which weights it goes through. Autograd computes f_l'
inside one layer; what goes from layer to layer is up to the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.network.layer import Layer, Masks
from pipepita.rules.learner import Learner, Product


class ForwardPass(NamedTuple):
    """What one layer keeps of one sample's standard pass until the update: (B, ...) tensors.

    Attributes:
        inputs: h_{l-1}.
        preactivation: a_l, where the layer's own autograd graph begins.
        sent: h_l; at the output layer the network's answer.
        masks: What the sample met at dropouts and normalisations.
    """

    inputs: Tensor
    preactivation: Tensor
    sent: Tensor
    masks: Masks


class GradientLearner(Learner):
    """One layer that learns from the gradient of its own activity.

    Inherit from this class and write `second`: it makes a teaching signal, gives it to `learn`, and returns the message
    to the next layer, or None.

    Args:
        layer: The layer.
        last: Whether it is the output layer, whose activity is the network's answer and whose signal is the error.
        feedback: A tensor that the rule drew for this layer and never changes, like a feedback matrix. It is moved to
            the layer's device, and `fixed` returns it.

    Attributes:
        layer: The layer.
        last: Whether it is the output layer.
        feedback: The tensor on the layer's device, or None.

    Example:
        >>> import torch
        >>> import pipepita as pp
        >>> class Direct(pp.GradientLearner):  # direct feedback alignment: the error goes through a matrix
        ...     def second(self, step, arriving, error):
        ...         self.learn(step, error if self.last else error @ self.feedback)
        >>> from pipepita.network.cut import cut
        >>> layers = cut(pp.build("fc:5", (1, 2, 2), 3), (1, 2, 2), 3)
        >>> hidden = Direct(layers[0], last=False, feedback=torch.ones(3, 5))
        >>> with torch.inference_mode():
        ...     sent = hidden.standard(0, torch.rand(8, 1, 2, 2))
        ...     hidden.second(0, None, torch.rand(8, 3))
        ...     product = hidden.product(0)
        >>> sent.shape, product.post.shape, product.pre.shape
        (torch.Size([8, 5]), torch.Size([8, 5]), torch.Size([8, 4]))
    """

    def __init__(self, layer: Layer, last: bool, feedback: Tensor | None = None) -> None:
        self.layer, self.last = layer, last
        self.feedback = None if feedback is None else feedback.to(layer.parameters[0].device)
        self._forward_passes: dict[int, ForwardPass] = {}
        self._products: dict[int, Product] = {}
        self._affine_products: dict[int, list[Product | None]] = {}

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        layer = self.layer
        x = layer.arrive(x)
        with torch.inference_mode(False):  # autograd cannot use tensors that were made in inference mode
            masks = layer.masks(x.shape[0], step)
            preactivation = layer.synapse.forward(x)
            if self.last:
                sent = layer.answer(preactivation)
            else:
                preactivation.requires_grad_()
                sent = layer.outgoing(layer.activity(preactivation, masks), masks)
        self._forward_passes[step] = ForwardPass(x, preactivation, sent, masks)
        return sent.detach()

    def learn(self, step: int, signal: Tensor) -> tuple[Tensor, ForwardPass]:
        """Makes sample `step`'s update from a teaching signal at the layer's activity.

        Args:
            step: The sample's number.
            signal: (B, *out_shape), or the same flattened to (B, width), float32: it takes the place of the gradient at
                h_l. At the output layer it is the error.

        Returns:
            delta_l, (B, *shape before activation and pooling), float32, and what was kept of the sample. The learner
            forgets the latter.
        """
        kept = self._forward_passes.pop(step)
        delta = signal
        if not self.last:
            signal = signal.view_as(kept.sent)
            delta = self._backward(step, kept.sent, signal, kept.preactivation, kept.masks)
        self._keep_product(step, delta, kept.inputs)
        return delta, kept

    def _backward(self, step: int, end: Tensor, signal: Tensor, start: Tensor, masks: Masks) -> Tensor:
        """The gradient at a_l, `start`, of a `signal` at h_l, `end`. Makes the updates of scales and shifts, too."""
        if not self.layer.affines:
            return torch.autograd.grad(end, start, signal)[0]
        passes = self.layer.affine_passes(masks)
        ends = [one.output for one in passes if one.output is not None]
        delta, *others = torch.autograd.grad(end, [start, *ends], signal)
        gradients = iter(others)
        self._affine_products[step] = [
            Product(change := next(gradients), one.normalized, float(affine.positions(change)))
            if one.output is not None and one.normalized is not None
            else None
            for affine, one in zip(self.layer.affines, passes, strict=True)
        ]
        return delta

    def _keep_product(self, step: int, delta: Tensor, inputs: Tensor) -> None:
        """Keeps sample `step`'s update, from delta_l and h_{l-1}."""
        self._products[step] = Product(delta, inputs, positions(delta))

    def product(self, step: int) -> Product | None:
        return self._products.pop(step)

    def affine_products(self, step: int) -> Sequence[Product | None]:
        return self._affine_products.pop(step, [None] * len(self.layer.affines))

    def evaluate(self, x: Tensor) -> Tensor:
        output = self.layer.evaluate(x)
        return self.layer.answer(output) if self.last else output

    def fixed(self) -> dict[str, Tensor]:
        return {} if self.feedback is None else {f"{self.layer.name}.feedback": self.feedback}


def positions(delta: Tensor) -> float:
    """How many positions an image has. A gradient sums over them, but an update averages over them, as in PEPITA.

    Args:
        delta: (B, units), or (B, channels, height, width).
    """
    return float(delta[0, 0].numel()) if delta.ndim == 4 else 1.0
