"""Weight mirroring (Akrout et al. 2019; for PEPITA: Srinivasan et al. 2024) aligns F with the product of the weights.

Each layer multiplies noise by its weights, and learns from the result an estimate M_l of them:

    xi ~ N(0, 1),    M_l <- (1 - 1/n) M_l + (1/n) (W_l xi) xi^T,    E[(W_l xi) xi^T] = W_l

1/n falls with the number of mini-batches n, but not below `_SLOWEST`, so that M_l follows W_l. Only the layer's own
forward product uses W_l. Then, from the output layer down, F_l^T = -c M_L ... M_l, with c such that F_l keeps the norm
that it was drawn with. The minus sign is the one that training with PEPITA gives F (section 4.3: the angle between F
and the product of the weights rises above 90 degrees).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.randomness import generator

_ITEMS = 64  # in one mini-batch of noise
_SLOWEST = 1 / 256


class Mirror:
    """What one layer has learnt about its own weights.

    Args:
        layer: The layer, which must be linear.
        batches: How many mini-batches of noise it learns from before each epoch.
        seed: What the noise is drawn from.

    Raises:
        UserError: The layer is a convolution.
    """

    def __init__(self, layer: Layer, batches: int, seed: int) -> None:
        if len(layer.out_shape) != 1 or layer.parameters[0].ndim != 2:
            raise UserError(f"mirror {batches}: layer {layer.number} is a convolution, and only linear layers mirror")
        self._layer, self._batches, self._seed = layer, batches, seed
        self._seen = 0
        self._estimate = torch.zeros(layer.parameters[0].shape)

    def product(self, epoch: int, above: Tensor | None) -> Tensor:
        """Learns from noise, and returns M_L ... M_l, (classes, width of h_{l-1}); `above` is M_L ... M_{l+1}."""
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
        """The estimate, and how many mini-batches it was learnt from."""
        return {"estimate": self._estimate, "seen": torch.tensor(self._seen)}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Continues from what `memory` returned."""
        self._estimate, self._seen = memory["estimate"].clone(), int(memory["seen"])
