"""The least that a step needs: its products, each at its shape, and the memory that they must read and write.

    standard pass     W x for B items, and with them W F for C classes, if C < B
    modulated pass    onto a: (W F) e;  onto h: F e         layers that no error enters: W (change from below)
    backward pass     W^T delta, from the second layer on
    update            v <- momentum v + delta x^T, W <- W - lr v

Whatever is done to single numbers (activation, difference, mask) could be done while a product's result is still in
registers, so it counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from pipepita.network.layer import Layer

FORWARD, SMALL, BACKWARD, UPDATE = "W x", "F e and (W F) e", "W^T delta", "update"
KINDS = (FORWARD, SMALL, BACKWARD, UPDATE)
_FLOAT = 4


@dataclass(frozen=True)
class Product:
    """One product of a step.

    Attributes:
        kind: One of `KINDS`.
        flops: Additions and multiplications.
        bytes: The least that is read and written.
        run: Makes it, with tensors of its own, in the quickest way that torch has.
    """

    kind: str
    flops: int
    bytes: int
    run: Callable[[], object]


class _Tensors:
    """A layer's weights, velocity, and room for what passes through it."""

    def __init__(self, layer: Layer, rows: int) -> None:
        module = layer.synapse.module
        self.linear = len(layer.in_shape) == 1
        self.padding = getattr(module, "padding", 0)
        shape = tuple(module.weight.shape)
        self.weight, self.velocity = (self._like(torch.rand(shape)) for _ in range(2))
        with torch.inference_mode():
            image = layer.synapse.forward(torch.zeros(1, *layer.in_shape)).shape[1:]
        self.before, self.after = (self._like(torch.rand(rows, *part)) for part in (layer.in_shape, image))

    def _like(self, tensor: Tensor) -> Tensor:
        if tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def forward(self) -> Tensor:
        if self.linear:
            return torch.mm(self.before, self._across)
        return F.conv2d(self.before, self.weight, padding=self.padding)

    @property
    def _across(self) -> Tensor:
        return self.weight.view(self.weight.shape[1], -1)  # (in, out), as a forward pass reads it fastest

    def backward(self) -> Tensor:
        if self.linear:
            return torch.mm(self.after, self._across.t())
        return conv2d_input(self.before.shape, self.weight, self.after, padding=self.padding)

    def update(self) -> object:
        if self.linear:
            return self.velocity.view_as(self._across).addmm_(self.before.t(), self.after, beta=0.9, alpha=1e-9)
        return conv2d_weight(self.before, self.weight.shape, self.after, padding=self.padding)

    def flops(self) -> int:
        positions = 1 if self.linear else self.after.shape[2] * self.after.shape[3]
        return 2 * len(self.before) * positions * self.weight.numel()

    def bytes(self, weights: int) -> int:
        """With the weights, or tensors of their shape, read or written so many times."""
        return _FLOAT * (weights * self.weight.numel() + self.before.numel() + self.after.numel())


def _mixed(items: int, classes: int, width: int) -> Product:
    """Adds what `classes` numbers per item make of as many rows."""
    onto, shares, rows = torch.rand(items, width), torch.rand(items, classes) * 1e-9, torch.rand(classes, width)
    numbers = 2 * onto.numel() + shares.numel() + rows.numel()
    return Product(SMALL, 2 * items * classes * width, _FLOAT * numbers, lambda: onto.addmm_(shares, rows))


def _of(kind: str, tensors: _Tensors) -> Product:
    weights, run = {
        FORWARD: (1, tensors.forward), BACKWARD: (1, tensors.backward), UPDATE: (4, tensors.update),
    }[kind]  # fmt: skip
    return Product(kind, tensors.flops(), tensors.bytes(weights), run)


def backpropagation(layers: Sequence[Layer], batch: int) -> list[Product]:
    """What a step of backpropagation needs."""
    products = []
    for number, layer in enumerate(layers, 1):
        tensors = _Tensors(layer, batch)
        kinds = (FORWARD, UPDATE) if number == 1 else (FORWARD, BACKWARD, UPDATE)
        products += [_of(kind, tensors) for kind in kinds]
    return products


def pepita(layers: Sequence[Layer], batch: int, classes: int, everywhere: bool) -> list[Product]:
    """What a step of PEPITA needs. everywhere: whether the error enters at all layers, or at the input alone."""
    products = []
    through = classes < batch
    for number, layer in enumerate(layers, 1):
        enters = everywhere or number == 1
        tensors = _Tensors(layer, batch)
        width = tensors.after[0].numel()
        if enters and through:
            products.append(_of(FORWARD, _Tensors(layer, batch + classes)))
            products.append(_mixed(batch, classes, width))
        else:
            products += [_of(FORWARD, tensors)] * 2
        if enters:
            products.append(_mixed(batch, classes, layer.width))
        products.append(_of(UPDATE, tensors))
    return products
