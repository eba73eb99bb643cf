"""What the rules with a local gradient share: the standard pass, and the way from a teaching signal to an update.

    a_l = W_l h_{l-1},    h_l = f_l(a_l)        f_l: activation, norm, dropout and pooling
    delta_l = (signal at h_l) f_l'(a_l)         (output layer, with softmax and cross-entropy: the error itself)
    dW_l = delta_l h_{l-1}^T

Rules differ in the signal alone: where it comes from, and through which weights. f_l' is autograd's, within one layer;
what crosses layers is the rule's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.rules.learner import Learner, Product


class Flight(NamedTuple):
    """What one layer keeps of one sample until its update: (B, ...) tensors."""

    inputs: Tensor  # h_{l-1}
    preactivation: Tensor  # a_l, the leaf of this layer's own small graph
    sent: Tensor  # h_l; the output layer's softmax


class GradientLearner(Learner):
    """One layer that learns from the gradient of its own activity.

    A rule inherits from this class and writes `second`: it makes a teaching signal, gives it to `learn`, and returns
    what goes on to the next layer, if anything does.

    Args:
        layer: The layer.
        last: Whether it is the output layer, whose activity is the softmax and whose signal is the error.
        feedback: A tensor that the rule drew for this layer and never changes, like a feedback matrix. It is moved to
            the layer's device, and `fixed` shows it.

    Attributes:
        layer: The layer.
        last: As above.
        feedback: As above.

    Example:
        >>> import torch
        >>> import pipepita as pp
        >>> class Direct(pp.GradientLearner):  # direct feedback alignment: the error through a matrix of one's own
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
        self._flights: dict[int, Flight] = {}
        self._products: dict[int, Product] = {}

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        layer = self.layer
        x = layer.arrive(x)
        with torch.inference_mode(False):  # autograd keeps nothing that was made in inference mode
            masks = layer.masks(len(x), step)
            preactivation = layer.synapse.forward(x)
            if self.last:
                sent = preactivation.softmax(1)
            else:
                preactivation.requires_grad_()
                sent = layer.outgoing(layer.activity(preactivation, masks), masks)
        self._flights[step] = Flight(x, preactivation, sent)
        return sent.detach()

    def learn(self, step: int, signal: Tensor) -> tuple[Tensor, Flight]:
        """Sets sample `step`'s update from a teaching signal at the layer's activity.

        Args:
            step: The sample's number.
            signal: (B, *out_shape) or (B, width of it), float32: what stands for the gradient at h_l; at the output
                layer the error.

        Returns:
            delta_l, (B, *shape before activation and pooling), and what was kept of the sample, which is forgotten.
        """
        flight = self._flights.pop(step)
        delta = signal
        if not self.last:
            signal = signal.view_as(flight.sent)
            (delta,) = torch.autograd.grad(flight.sent, flight.preactivation, signal)
        # a synapse averages over positions, as PEPITA's rule does; a gradient is their sum
        positions = delta[0, 0].numel() if delta.ndim == 4 else 1
        self._products[step] = Product(delta, flight.inputs, float(positions))
        return delta, flight

    def product(self, step: int) -> Product:
        return self._products.pop(step)

    def evaluate(self, x: Tensor) -> Tensor:
        output = self.layer.evaluate(x)
        return output.softmax(1) if self.last else output

    def fixed(self) -> dict[str, Tensor]:
        return {} if self.feedback is None else {f"{self.layer.name}.feedback": self.feedback}
