"""What a hidden layer's update is made of in PEPITA: dW_l = (h_l - m_l) m_{l-1}^T as in the paper, or another product.

| presynaptic | dW_l                                                                  | source                   |
|-------------|-----------------------------------------------------------------------|--------------------------|
| modulated   | (h_l - m_l) m_{l-1}^T                                                 | section 3                |
| standard    | (h_l - m_l) h_{l-1}^T                                                 | section 3                |
| own         | h_l h_{l-1}^T - m_l m_{l-1}^T                                         | Srinivasan et al. 2024   |
| two-step    | h_l h_{l-1}^T after the standard pass, -m_l m_{l-1}^T after the other | the same (time-local)    |

Where a layer pools, h_l - m_l is that of the activities in front of the pooling, as in the published code. With
`compare="sent"` it is that of what the layer sends on, brought back by the transposed derivative of what lies between:

    h_l - m_l = P^T (s_l - r_l)        s_l = p(h_l), r_l = p(m_l): pooled, and normalised if a normalisation follows
                                       P: the derivative of p at h_l

So only what wins the pooling learns, and nothing learns what the normalisation takes away again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.network.layer import Layer, Masks, again
from pipepita.rules.learner import Product


class StandardPass(NamedTuple):
    """What one layer keeps of one sample's standard pass until the modulated pass: (B, ...) tensors.

    Attributes:
        inputs: h_{l-1}.
        preactivation: a_l, if the form needs it.
        activity: h_l before pooling; at the output layer the network's answer.
        sent: h_l after pooling; with the graph that begins at `activity`, if an update will need its derivative.
        masks: What the sample met at dropouts and normalisations.
    """

    inputs: Tensor
    preactivation: Tensor | None
    activity: Tensor
    sent: Tensor
    masks: Masks


class Hebbian:
    """Makes the updates of a hidden layer.

    Args:
        presynaptic: One of the table above.
        compare: Whether the two "activity"s are compared, or what is "sent": see above.

    Attributes:
        standard_inputs: Whether the update uses h_{l-1} instead of m_{l-1}.
        two_products: Whether h_l and m_l are multiplied by their own inputs, in two separate products.
        compares_sent: Whether what is sent is compared.
    """

    def __init__(self, presynaptic: str, compare: str = "activity") -> None:
        self.standard_inputs = presynaptic == "standard"
        self.two_products = presynaptic in ("own", "two-step")
        self.compares_sent = compare == "sent"
        self._two_steps = presynaptic == "two-step"

    def after_standard(self, activity: Tensor, inputs: Tensor) -> Product | None:
        """The update after the standard pass; None if there is none."""
        return Product(activity, inputs, 1.0) if self._two_steps else None

    def mode(self, layer: Layer) -> AbstractContextManager[object]:
        """In which the standard pass runs: autograd cannot use tensors that were made in inference mode."""
        return torch.inference_mode(False) if self._keeps_graph(layer) else nullcontext()

    def sent(self, layer: Layer, activity: Tensor, masks: Masks) -> Tensor:
        """What the layer sends in the standard pass, h_l after pooling, with its graph if that will be needed."""
        if self._keeps_graph(layer):
            activity.requires_grad_()
        return layer.outgoing(activity, masks)

    def _keeps_graph(self, layer: Layer) -> bool:
        # at what takes statistics the derivative is that of a pass that meets them, not of the one that takes them
        return self.compares_sent and layer.pools and not layer.leaves_behind_activity

    def after_modulated(self, layer: Layer, kept: StandardPass, modulated: Tensor, inputs: Tensor) -> Product:
        """The update after the modulated pass, from h_l and h_{l-1}, which are `kept`, m_l and m_{l-1}."""
        clean = kept.activity
        if self.compares_sent and layer.pools:
            change = kept.sent - layer.outgoing(modulated, again(kept.masks))
            if kept.sent.requires_grad:
                (change,) = torch.autograd.grad(kept.sent, clean, change)
            else:
                change = layer.pulled_back(clean, change, kept.masks)
            return Product(change, kept.inputs if self.standard_inputs else inputs, 1.0)
        if self._two_steps:
            return Product(modulated, inputs, -1.0)
        if self.two_products:  # as one product of twice as many items; a synapse divides by their number
            return Product(torch.cat([clean, -modulated]), torch.cat([kept.inputs, inputs]), 2.0)
        return Product(clean - modulated, kept.inputs if self.standard_inputs else inputs, 1.0)
