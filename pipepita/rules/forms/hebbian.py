"""What a hidden layer's update is made of in PEPITA: with dW_l = (h_l - m_l) m_{l-1}^T as in the paper, or another one.

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
    """The update of a hidden layer. presynaptic: one of the table above."""

    def __init__(self, presynaptic: str) -> None:
        self.clean = presynaptic == "standard"
        self.apart = presynaptic in ("own", "two-step")
        self._two_steps = presynaptic == "two-step"

    def early(self, activity: Tensor, inputs: Tensor) -> Product | None:
        """The update after the standard pass, if there is one."""
        return Product(activity, inputs, 1.0) if self._two_steps else None

    def late(self, clean: Tensor, modulated: Tensor, clean_inputs: Tensor, inputs: Tensor) -> Product:
        """The update after the modulated pass, from h_l, m_l, h_{l-1} and m_{l-1}."""
        if self._two_steps:
            return Product(modulated, inputs, -1.0)
        if self.apart:  # as one product of twice the items; a synapse divides by their number
            return Product(torch.cat([clean, -modulated]), torch.cat([clean_inputs, inputs]), 2.0)
        return Product(clean - modulated, clean_inputs if self.clean else inputs, 1.0)
