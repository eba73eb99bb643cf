"""Projections that are the product of the weights, and weights that are kept orthogonal (FOTON, ECAI 2025).

    F_l^T = -c W_L ... W_l        from the output layer down, with c such that F_l keeps the norm that it was drawn with

With linear layers and orthogonal weights, PEPITA's update is then backpropagation's (arXiv 2512.20668). A step of
Bjorck's iteration brings W nearer to the next matrix with orthonormal rows or columns:

    W <- W (3 I - W^T W) / 2      (with at least as many rows as columns; else from the left)

Unlike mirroring, this reads the weights of all layers above, which travel down as one matrix of classes x width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipepita.errors import UserError
from pipepita.network.layer import Layer


class WeightProduct:
    """One layer's part of the product.

    Args:
        layer: The layer, which must be linear.
        orthogonal: How many steps of Bjorck's iteration the weights make before each product; 0 for none.

    Raises:
        UserError: The layer is a convolution.
    """

    def __init__(self, layer: Layer, orthogonal: int) -> None:
        if len(layer.out_shape) != 1 or layer.parameters[0].ndim != 2:
            raise UserError(f"feedback product: layer {layer.number} is a convolution, and only linear layers have one")
        self._layer, self._orthogonal = layer, orthogonal

    def product(self, epoch: int, above: Tensor | None) -> Tensor:
        """W_L ... W_l, (classes, width of h_{l-1}); `above` is W_L ... W_{l+1}, or None at the output layer.

        If weights are kept orthogonal, it first changes W_l in place, unless the layer is frozen. `epoch` is not used.
        """
        weight = self._layer.parameters[0]
        if self._orthogonal and not self._layer.frozen:
            weight.copy_(bjorck(weight, self._orthogonal))
        return weight.clone() if above is None else above.to(weight.device) @ weight

    def memory(self) -> dict[str, Tensor]:
        """There is nothing to keep."""
        return {}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """There is nothing to put back."""


def bjorck(weight: Tensor, steps: int) -> Tensor:
    """`weight`, (rows, columns), after `steps` of Bjorck's iteration: a new tensor.

    If the largest singular value is above 1, the whole matrix is first divided by it.

    Example:
        >>> weight = bjorck(torch.randn(5, 9, generator=torch.Generator().manual_seed(0)), steps=30)
        >>> torch.allclose(weight @ weight.t(), torch.eye(5), atol=1e-4)
        True
    """
    tall = weight.shape[0] >= weight.shape[1]
    w = (weight if tall else weight.t()).clone()
    w /= torch.linalg.matrix_norm(w, 2).clamp_min(1.0)  # the iteration diverges from singular values above sqrt(3)
    for _ in range(steps):
        w = 1.5 * w - 0.5 * w @ (w.t() @ w)
    return w if tall else w.t()
