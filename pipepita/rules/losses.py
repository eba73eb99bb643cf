"""Losses of one layer's activity, each with a trainable map of its own, and the learner that uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipepita.network.layer import Layer, Shape
from pipepita.randomness import generator, uniform
from pipepita.rules.gradient import GradientLearner, positions
from pipepita.rules.head import Head
from pipepita.rules.learner import Product

_MOST = 2048  # numbers per item that a read-out sees
_TINY = 1e-8


class Teaching(NamedTuple):
    """What a loss makes of one sample.

    Attributes:
        signal: The gradient at the activity, (B, *shape of h), for each item (not divided by B).
        product: The update of the loss's own map.
    """

    signal: Tensor
    product: Product


class Loss(Protocol):
    """A loss of one layer's activity.

    Attributes:
        head: Its own trainable map.
    """

    head: Head

    def teaching(self, activity: Tensor, target: Tensor) -> Teaching:
        """The gradients of one sample.

        Args:
            activity: h_l, (B, *shape of h), float32, without a graph.
            target: (B, classes), one-hot; or the numbers that are to be predicted.
        """


class Prediction:
    """The network's own loss (cross-entropy, or half the squared error), of a linear read-out of the activity.

    An image is first average-pooled to at most 2,048 numbers, or to one per channel if it has more channels than that.
    A flat activity is read as it is, whatever its width. The read-out is at first zero.

    Args:
        layer: The layer.
        classes: How many classes there are.
        share: The factor of the loss.
        rate: The learning rate of the read-out, as a multiple of the layer's.
    """

    def __init__(self, layer: Layer, classes: int, share: float, rate: float) -> None:
        self._layer, self._share = layer, share
        self._kernel = _pooling(layer.activity_shape)
        if self._kernel is not None:
            rows, columns = map(_counts, layer.activity_shape[1:], self._kernel)
            self._counts = torch.outer(rows, columns).to(layer.parameters[0].device)
        width = self._pooled(torch.zeros(1, *layer.activity_shape)).shape[1]
        readout = nn.Linear(width, classes, bias=False)
        nn.init.zeros_(readout.weight)
        self.head = Head(layer, "readout", readout, rate)

    def _pooled(self, activity: Tensor) -> Tensor:
        if self._kernel is not None:
            activity = F.avg_pool2d(activity, self._kernel, ceil_mode=True)
        return activity.flatten(1)

    def teaching(self, activity: Tensor, target: Tensor) -> Teaching:
        inputs = self._pooled(activity)
        error = (self._layer.answer(self.head.forward(inputs)) - target).mul_(self._share)
        return Teaching(self._spread(error @ self.head.weight), Product(error, inputs, 1.0))

    def _spread(self, gradient: Tensor) -> Tensor:
        """The transpose of `_pooled`: each average's gradient goes to all that it is the average of, in equal shares.

        Autograd's would be the same to the bit, but not channels last: what follows would take three times as long.
        """
        if self._kernel is None:
            return gradient
        channels, height, width = self._layer.activity_shape
        rows, columns = self._kernel
        shares = gradient.unflatten(1, (channels, *self._counts.shape)) / self._counts
        last = shares.permute(0, 2, 3, 1).contiguous()[:, :, None, :, None]
        wide = last.expand(-1, -1, rows, -1, columns, -1).flatten(3, 4).flatten(1, 2)
        return wide[:, :height, :width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _pooling(shape: Shape) -> tuple[int, int] | None:
    """How many rows and columns of an image are averaged, so that at most `_MOST` numbers are left; None for no image.

    Rows and columns are doubled in turn, as in the published code.
    """
    if len(shape) != 3:
        return None
    channels, height, width = shape
    rows = columns = 1
    while channels * -(-height // rows) * -(-width // columns) > _MOST and (rows < height or columns < width):
        if rows <= columns:
            rows *= 2
        else:
            columns *= 2
    return min(rows, height), min(columns, width)


def _counts(side: int, window: int) -> Tensor:
    """How many of `side` places each window averages: fewer in the last one, if they do not fill it."""
    return torch.tensor([float(min(window, side - start)) for start in range(0, side, window)])


class Similarity:
    """Mean squared difference of two matrices: how similar the items of a sample are, by a map and by their targets.

    The similarity of two items is the cosine of their centred features: of what a linear map, or a 3 x 3 convolution,
    makes of the activity (for images of more than three channels: the standard deviation of each channel). A single
    item is similar to itself whatever the layer does, so with samples of one item nothing is learnt.

    Args:
        layer: The layer.
        share: The factor of the loss.
        rate: The learning rate of the map, as a multiple of the layer's.
        seed: The map is drawn from (seed, "similarity", l), as torch would draw it: U(-b, b), b = 1 / sqrt(fan_in).
    """

    def __init__(self, layer: Layer, share: float, rate: float, seed: int) -> None:
        self._share, shape = share, layer.activity_shape
        width = shape[0]
        module: nn.Linear | nn.Conv2d
        if len(shape) == 3:
            module = nn.Conv2d(width, width, 3, padding=1, bias=False)
        else:
            module = nn.Linear(width, width, bias=False)
        bound = module.weight[0].numel() ** -0.5
        with torch.no_grad():
            module.weight.copy_(uniform(tuple(module.weight.shape), bound, generator(seed, "similarity", layer.number)))
        self.head = Head(layer, "similarity", module, rate)

    def teaching(self, activity: Tensor, target: Tensor) -> Teaching:
        features = self.head.forward(activity).requires_grad_()
        difference = _similarity(features) - _similarity(target)
        # for each item, as the other gradients: the mean over pairs, times the number of items
        loss = difference.square().mean() * (self._share * len(activity))
        (post,) = torch.autograd.grad(loss, features)
        signal = self.head.map.synapse.back(post, self.head.weight, tuple(activity.shape))
        return Teaching(signal, Product(post, activity.detach(), positions(post)))


def _similarity(features: Tensor) -> Tensor:
    """(B, B): the cosine of the centred features of each pair of items, from (B, ...)."""
    if features.ndim == 4:
        flat = features.flatten(2)
        # as the published code: the standard deviation of each channel, if there are enough of them
        features = flat.std(2) if features.shape[1] > 3 and flat.shape[2] > 1 else flat.flatten(1)
    centred = features - features.mean(1, keepdim=True)
    squares = centred.square().sum(1, keepdim=True)
    # an item that makes nothing of a layer is similar to no other; the root's gradient at zero would be no number
    silent = squares <= _TINY**2
    unit = centred / (torch.where(silent, 1.0, squares).sqrt() + _TINY)
    unit = torch.where(silent, 0.0, unit)
    return (unit @ unit.t()).clamp(-1, 1)


class LocalLearner(GradientLearner):
    """One hidden layer that learns from losses of its own activity.

    Args:
        layer: The layer.
        losses: The losses, whose gradients are added.
    """

    def __init__(self, layer: Layer, losses: Sequence[Loss]) -> None:
        super().__init__(layer, last=False)
        self._losses = losses
        self.heads = [loss.head for loss in losses]
        self._head_products: dict[int, list[Product]] = {}

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        assert target is not None
        layer = self.layer
        x = layer.arrive(x)
        with torch.inference_mode(False):  # autograd cannot use tensors that were made in inference mode
            masks = layer.masks(x.shape[0], step)
            preactivation = layer.synapse.forward(x).requires_grad_()
            activity = layer.activity(preactivation, masks)
            teachings = [loss.teaching(activity.detach(), target) for loss in self._losses]
            signal = sum((one.signal for one in teachings[1:]), teachings[0].signal)
            delta = self._backward(step, activity, signal, preactivation, masks)
            sent = layer.outgoing(activity.detach(), masks)
        self._keep_product(step, delta, x)
        self._head_products[step] = [one.product for one in teachings]
        return sent

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        raise NotImplementedError("local losses have no second pass")

    def head_products(self, step: int) -> Sequence[Product | None]:
        return self._head_products.pop(step)
