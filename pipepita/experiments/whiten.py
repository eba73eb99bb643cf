"""ZCA whitening: inputs without correlations, in their original basis."""

from __future__ import annotations

import torch
from torch import Tensor

from pipepita.data import Data

_SMALLEST = 1e-2  # added to each variance: directions with less are noise, and would be amplified


def whitened(data: Data, smallest: float = _SMALLEST) -> Data:
    """`data` with inputs (x - mean) V (S + smallest)^(-1/2) V^T, from the training items' covariance V S V^T."""
    flat = data.x_train.flatten(1).double()
    mean = flat.mean(0)
    variances, basis = torch.linalg.eigh(flat.sub_(mean).T @ flat / len(flat))
    matrix = (basis / (variances.clamp_min(0) + smallest).sqrt()) @ basis.T

    def through(x: Tensor) -> Tensor:
        return ((x.flatten(1).double() - mean) @ matrix).float().view_as(x)

    return Data(
        through(data.x_train), data.y_train, through(data.x_test), data.y_test, data.classes, f"{data.name}, whitened"
    )
