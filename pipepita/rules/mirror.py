"""Weight mirroring (Akrout et al. 2019; for PEPITA: Srinivasan et al. 2024): F kept aligned with the weights' product.

Each layer shows itself noise and learns, from what comes out, what it multiplies with:

    xi ~ N(0, 1),    M_l <- (1 - 1/n) M_l + (1/n) (W_l xi) xi^T,    E[(W_l xi) xi^T] = W_l

with 1/n falling to `_SLOWEST`, so that M_l follows W_l. No weight is read but by its own layer's forward product. From
the top down, F_l^T = -c M_L ... M_l, with c such that F_l keeps the norm that it was drawn with. The minus sign is the
one that PEPITA's own learning gives F (section 4.3: the angle rises above 90 degrees).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.randomness import generator

_ITEMS = 64  # of one mini-batch of noise
_SLOWEST = 1 / 256


class Mirror:
    """What one layer has learnt of its own weights."""

    def __init__(self, layer: Layer, batches: int, seed: int) -> None:
        if len(layer.out_shape) != 1 or layer.parameters[0].ndim != 2:
            raise UserError(f"mirror {batches}: layer {layer.number} is a convolution, and only linear layers mirror")
        self._layer, self._batches, self._seed = layer, batches, seed
        self._seen = 0
        self._estimate = torch.zeros(layer.parameters[0].shape)

    def product(self, epoch: int, above: Tensor | None) -> Tensor:
        """Some mini-batches of noise, then M_L ... M_l, (classes, width of h_{l-1}), from M_L ... M_{l+1}."""
        layer, device = self._layer, self._layer.parameters[0].device
        self._estimate = self._estimate.to(device)
        source = generator(self._seed, "mirror", layer.number, epoch, device=device)
        for _ in range(self._batches):
            noise = torch.empty(_ITEMS, layer.width, device=device).normal_(generator=source)
            answer = torch.zeros(_ITEMS, *layer.out_shape, device=device)
            answer = layer.synapse.drive(noise, onto=answer)
            self._seen += 1
            rate = max(1 / self._seen, _SLOWEST)
            self._estimate.addmm_(answer.t(), noise, beta=1 - rate, alpha=rate / _ITEMS)
        return self._estimate.clone() if above is None else above.to(device) @ self._estimate

    def memory(self) -> dict[str, Tensor]:
        """The estimate, and how many mini-batches made it."""
        return {"estimate": self._estimate, "seen": torch.tensor(self._seen)}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Goes on from what `memory` gave."""
        self._estimate, self._seen = memory["estimate"].clone(), int(memory["seen"])
