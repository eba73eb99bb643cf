"""The paper's training loop in plain torch, as one would write it from its sections 3.2 and 3.3.

It uses nothing of pipepita. The library's speed is measured against this loop, and a test compares their weights.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight


class PaperLoop:
    """A callable that makes one whole step over one batch: x (B, *item_shape), y (B,).

    model: linear and convolutional layers without biases, with ReLU behind all but the last, max pooling, and flatten.
    feedback: the paper's F, (inputs, classes).
    """

    def __init__(self, model: nn.Sequential, feedback: Tensor, lr: float, x: Tensor, y: Tensor) -> None:
        self.model, self.feedback, self.x, self.y = model, feedback, x, y
        self.layers = [module for module in model if isinstance(module, nn.Linear | nn.Conv2d)]
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    @torch.no_grad()
    def __call__(self) -> None:
        x, batch = self.x, len(self.x)
        # standard pass
        _, h = self.forward(x)
        target = F.one_hot(self.y, h[-1].shape[1])
        error = h[-1] - target
        # modulated pass
        m_prev, m = self.forward(x + (error @ self.feedback.T).view_as(x))
        # updates
        for layer, prev, clean, modulated in zip(self.layers[:-1], m_prev, h, m, strict=False):
            if isinstance(layer, nn.Linear):
                layer.weight.grad = (clean - modulated).T @ prev / batch
            else:
                positions = math.prod(clean.shape[2:])
                layer.weight.grad = conv2d_weight(prev, layer.weight.shape, clean - modulated) / positions / batch
        self.layers[-1].weight.grad = (m[-1] - target).T @ m_prev[-1] / batch
        self.optimizer.step()

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(inputs of each layer, activities of each layer: behind the ReLU or softmax, before pooling)."""
        inputs, activities = [], []
        for module in self.model:
            if isinstance(module, nn.Linear | nn.Conv2d):
                inputs.append(x)
            x = module(x)
            if isinstance(module, nn.ReLU):
                activities.append(x)
        return inputs, [*activities, x.softmax(1)]


def feedback(inputs: int, classes: int) -> Tensor:
    """F as in the paper's Appendix A: uniform, with a twentieth of He's bound."""
    bound = 0.05 * math.sqrt(6 / inputs)
    return torch.empty(inputs, classes).uniform_(-bound, bound)
