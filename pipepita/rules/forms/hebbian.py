"""What a hidden layer's update is made of in PEPITA: dW_l = (h_l - m_l) m_{l-1}^T as in the paper, or another product.

| presynaptic | dW_l                                                                  | source                   |
|-------------|-----------------------------------------------------------------------|--------------------------|
| modulated   | (h_l - m_l) m_{l-1}^T                                                 | section 3                |
| standard    | (h_l - m_l) h_{l-1}^T                                                 | section 3                |
| own         | h_l h_{l-1}^T - m_l m_{l-1}^T                                         | Srinivasan et al. 2024   |
| two-step    | h_l h_{l-1}^T after the standard pass, -m_l m_{l-1}^T after the other | the same (time-local)    |
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipepita.rules.learner import Product


class Hebbian:
    """Makes the updates of a hidden layer.

    Args:
        presynaptic: One of the table above.

    Attributes:
        standard_inputs: Whether the update uses h_{l-1} instead of m_{l-1}.
        two_products: Whether h_l and m_l are multiplied by their own inputs, in two separate products.
    """

    def __init__(self, presynaptic: str) -> None:
        self.standard_inputs = presynaptic == "standard"
        self.two_products = presynaptic in ("own", "two-step")
        self._two_steps = presynaptic == "two-step"

    def after_standard(self, activity: Tensor, inputs: Tensor) -> Product | None:
        """The update after the standard pass; None if there is none."""
        return Product(activity, inputs, 1.0) if self._two_steps else None

    def after_modulated(self, clean: Tensor, modulated: Tensor, clean_inputs: Tensor, inputs: Tensor) -> Product:
        """The update after the modulated pass, from h_l, m_l, h_{l-1} and m_{l-1}."""
        if self._two_steps:
            return Product(modulated, inputs, -1.0)
        if self.two_products:  # as one product of twice as many items; a synapse divides by their number
            return Product(torch.cat([clean, -modulated]), torch.cat([clean_inputs, inputs]), 2.0)
        return Product(clean - modulated, clean_inputs if self.standard_inputs else inputs, 1.0)
