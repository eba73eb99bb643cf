"""The guess of a gradient, and the learner of a layer that uses it: see `pipepita.rules.dni`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipepita.network.layer import Layer
from pipepita.rules.gradient import GradientLearner, positions
from pipepita.rules.head import Head
from pipepita.rules.learner import Product


class Guess:
    """M_l: what the gradient at a layer's activity will be, from what the layer sends and the target.

    Args:
        layer: The layer.
        classes: How many classes there are.
        rate: Its learning rate, as a multiple of the layer's.

    Attributes:
        head: The map, whose output has the shape of what the layer sends, (B, *out_shape).
    """

    def __init__(self, layer: Layer, classes: int, rate: float) -> None:
        shape = layer.out_shape
        module: nn.Linear | nn.Conv2d
        if len(shape) == 3:
            module = nn.Conv2d(shape[0] + classes, shape[0], 3, padding=1)
        else:
            module = nn.Linear(shape[0] + classes, shape[0])
        nn.init.zeros_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
        self.head = Head(layer, "guess", module, rate)

    def inputs(self, sent: Tensor, target: Tensor) -> Tensor:
        """What the guess is made from: what the layer sends, then the target; for images, a constant plane per class.

        Args:
            sent: (B, *out_shape), float32.
            target: (B, classes), float32.

        Returns:
            (B, width + classes), or (B, channels + classes, height, width).
        """
        if sent.ndim == 4:
            target = target[:, :, None, None].expand(-1, -1, *sent.shape[2:])
        return torch.cat([sent, target], 1)


class Guessed(NamedTuple):
    """What is kept of a sample until the layer above answers: (B, ...) tensors.

    Attributes:
        inputs: What the guess was made from.
        gradient: The guess.
    """

    inputs: Tensor
    gradient: Tensor


class GuessingLearner(GradientLearner):
    """One layer that learns from its guess in the standard pass, and teaches the guess in the backward pass.

    Args:
        layer: The layer.
        last: Whether it is the output layer, which knows its error.
        guess: M_l; None for the output layer.
    """

    def __init__(self, layer: Layer, last: bool, guess: Guess | None) -> None:
        super().__init__(layer, last)
        self._guess = guess
        self.heads = [] if guess is None else [guess.head]
        self._guessed: dict[int, Guessed] = {}
        self._messages: dict[int, Tensor | None] = {}
        self._guess_products: dict[int, Product] = {}

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        assert target is not None
        sent = super().standard(step, x)
        if self._guess is None:
            signal = sent - target
        else:
            inputs = self._guess.inputs(sent, target)
            signal = self._guess.head.forward(inputs)
            self._guessed[step] = Guessed(inputs, signal)
        delta, kept = self.learn(step, signal)
        layer, message = self.layer, None
        if layer.number > 1:
            message = layer.synapse.back(delta, layer.parameters[0], tuple(kept.inputs.shape))
        self._messages[step] = message
        return sent

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        if self._guess is not None:
            assert arriving is not None
            inputs, gradient = self._guessed.pop(step)
            post = gradient - arriving.view_as(gradient)
            self._guess_products[step] = Product(post, inputs, positions(post))
        return self._messages.pop(step)

    def product(self, step: int) -> Product | None:
        return self._products.pop(step, None)

    def head_products(self, step: int) -> Sequence[Product | None]:
        return [self._guess_products.pop(step, None) for _ in self.heads]
