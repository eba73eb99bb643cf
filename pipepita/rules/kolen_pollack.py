"""Feedback matrices that learn (direct Kolen-Pollack; Webster, Choi and Ahn 2020, after Kolen and Pollack 1994).

A matrix gets the same kind of update as the weights that it stands for, from what its layer has anyway: an activity and
the broadcast error e. So it comes to point where they point, without any message more. The optimizer is of the same
kind as that of the weights, with the same weight decay.

    pepita   G_l <- G_l + eta h_{l-1} e^T        F_l = G_l, scaled to the norm that F_l was drawn with
    dfa      B_l <- B_l - eta h_l e^T
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipepita.network.layer import Layer
from pipepita.rules.head import Head
from pipepita.rules.learner import Product

_TINY = torch.finfo(torch.float32).tiny


class LearnedMatrix:
    """A matrix (classes, width) that begins as it was drawn, and learns.

    Args:
        layer: The layer that it belongs to.
        drawn: The matrix in the beginning, (classes, width).
        rate: Its learning rate, as a multiple of the layer's.
        keeps_norm: Whether the matrix is scaled to the norm of `drawn`.

    Attributes:
        head: The matrix before it is scaled, as a map that an optimizer updates.

    Example:
        >>> import pipepita as pp
        >>> from pipepita.network.cut import cut
        >>> layer = cut(pp.build("fc:5", (4,), 3), (4,), 3)[0]
        >>> learnt = LearnedMatrix(layer, torch.ones(3, 4), rate=0.5, keeps_norm=True)
        >>> learnt.matrix().norm() == torch.ones(3, 4).norm()
        tensor(True)
        >>> learnt.product(torch.ones(8, 3), torch.ones(8, 4), -1.0).post.shape
        torch.Size([8, 3])
    """

    def __init__(self, layer: Layer, drawn: Tensor, rate: float, *, keeps_norm: bool) -> None:
        classes, width = drawn.shape
        module = nn.Linear(width, classes, bias=False, device=drawn.device)
        with torch.no_grad():
            module.weight.copy_(drawn)
        self.head = Head(layer, "feedback", module, rate)
        self._norm = drawn.norm() if keeps_norm else None

    def matrix(self) -> Tensor:
        """The matrix as it is now, (classes, width)."""
        weight = self.head.weight
        return weight if self._norm is None else weight * (self._norm / weight.norm().clamp_min(_TINY))

    def product(self, error: Tensor, activity: Tensor, sign: float) -> Product:
        """The update from one sample.

        Args:
            error: e, (B, classes).
            activity: What the matrix is paired with, (B, ...), with `width` numbers per item.
            sign: 1 if error times activity is subtracted, -1 if it is added.
        """
        return Product(error, activity.flatten(1), sign)
