"""Spec strings such as `fc:256x8` or `conv:32,5/pool:2/fc:256`: a short way to write an `nn.Sequential`.

    fc:N              a hidden layer of N units
    conv:N,K[,S[,P]]  N filters of K x K, stride S, padding P
    norm:KIND         a normalisation between a layer's linear map and its activation (behind a pool: there): batch,
                      layer, rms, group,GROUPS, or item, an nn.RMSNorm without a scale
    dropout:P         dropout with probability P behind the activation (behind a pool: there)
    pool:K[,S]        max pooling over K x K, stride S (avgpool: average pooling)
    ...xR             R of them, one after the other; (.../...)xR: R of a group
    NAME              a network by its name: vgg8b, vgg11b, paper-fc, paper-conv

The output layer comes from the data. There are no biases, as in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from pipepita.errors import UserError, unknown
from pipepita.network.grammar import Part, parse
from pipepita.network.modules import ACTIVATIONS, leaves
from pipepita.network.parts import LAYERS, POOLS, flatten, norm, share_of
from pipepita.network.vectorized import draw, is_vectorized
from pipepita.randomness import generator, uniform

Shape = tuple[int, ...]


def build(
    spec: str, item_shape: Shape, classes: int, *, activation: str = "relu", dropout: float = 0.0, normal: bool = False
) -> nn.Sequential:
    """Makes an `nn.Sequential` from a spec string.

    Each hidden layer is a linear map or a convolution, then perhaps a normalisation, then the activation function, then
    (with `normal`) an `nn.RMSNorm` without parameters, then dropout, then pooling. The output layer is an `nn.Linear`.
    No layer has a bias. The weights are torch's own random ones; `initialise` draws those of the paper.

    Args:
        spec: The hidden layers, like "fc:256x8" or "conv:32,5/pool:2/fc:256", or the name of a network; the syntax is
            at the top of this module.
        item_shape: The shape of one input item, without the batch: (features,) or (channels, height, width).
        classes: How many classes there are, which is the width of the output layer.
        activation: The activation function of hidden layers, by its name in lower case, like "relu" or "tanh".
        dropout: The probability that a unit of a hidden layer is dropped, at least 0 and below 1. A layer with a
            `dropout` part of its own has only that one.
        normal: Whether each item's hidden activity is divided by its root mean square. A layer with a `norm` part has
            only that one.

    Returns:
        The network: (B, *item_shape) float32 to (B, classes) float32.

    Raises:
        UserError: The spec cannot be read or does not fit the items, or another argument is out of range.

    Example:
        >>> model = build("conv:8,3/pool:2/fc:32", (1, 28, 28), 10, dropout=0.1)
        >>> [type(module).__name__ for module in model]
        ['Conv2d', 'ReLU', 'Dropout', 'MaxPool2d', 'Flatten', 'Linear', 'ReLU', 'Dropout', 'Linear']
        >>> model(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
        >>> [type(module).__name__ for module in build("conv:8,3/norm:batch", (1, 28, 28), 10)]
        ['Conv2d', 'BatchNorm2d', 'ReLU', 'Flatten', 'Linear']
    """
    if not isinstance(spec, str):
        raise UserError(f"network {spec!r}: it is described by a string, like fc:64x2")
    if not isinstance(item_shape, Sequence) or not item_shape or not all(map(_is_size, item_shape)):
        raise UserError(f"item_shape {item_shape!r}: it holds the sizes of an item, like (1, 28, 28) or (784,)")
    if not _is_size(classes):
        raise UserError(f"classes {classes!r}: it must be a whole number of at least 1")
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise UserError(f"dropout {dropout!r} is not a probability: 0 <= dropout < 1")
    blocks: list[_Block] = []
    shape = item_shape
    for part in parse(spec):
        if part.kind in LAYERS:
            new, shape = LAYERS[part.kind](part, shape)
            blocks.append(_Block(new, shape))
        elif part.kind not in (*POOLS, "norm", "dropout"):
            raise unknown(f"part of network {spec!r}:", part.kind, [*LAYERS, *POOLS, "norm", "dropout"])
        elif not blocks:
            raise UserError(f"network {spec!r} begins with {part.kind}: begin with fc or conv")
        elif part.kind == "norm":
            blocks[-1].normalise(part)
        elif part.kind == "dropout":
            blocks[-1].drop(part)
        else:
            new, shape = POOLS[part.kind](part, shape)
            blocks[-1].behind += new
            blocks[-1].shape = shape
    modules = [module for block in blocks for module in block.modules(activation, dropout, normal=normal)]
    return nn.Sequential(*modules, *flatten(shape), nn.Linear(math.prod(shape), classes, bias=False))


def _is_size(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


class _Block:
    """One hidden layer: its linear map, and what was asked for behind it."""

    def __init__(self, linear: list[nn.Module], shape: Shape) -> None:
        self._linear, self._units, self.shape = linear, shape, shape
        self._normal = False
        self._norm: nn.Module | None = None
        self._dropout: float | None = None
        self.behind: list[nn.Module] = []

    def normalise(self, part: Part) -> None:
        if self._normal:
            raise UserError(
                f"{part.text}: a layer has one norm: conv:64,3/norm:batch/pool:2 or conv:64,3/pool:2/norm:item"
            )
        self._normal = True
        if self.behind:
            self.behind.append(norm(part, self.shape))
        else:
            self._norm = norm(part, self.shape)

    def drop(self, part: Part) -> None:
        share = share_of(part)
        if isinstance(self.behind[-1], nn.Dropout) if self.behind else self._dropout is not None:
            raise UserError(f"{part.text}: there is a dropout right in front of it, so leave one of the two out")
        if self.behind:
            self.behind.append(nn.Dropout(share))
        if self._dropout is None:  # the one of all layers does not apply where one is asked for
            self._dropout = 0.0 if self.behind else share

    def modules(self, activation: str, dropout: float, *, normal: bool) -> list[nn.Module]:
        share = dropout if self._dropout is None else self._dropout
        rms = nn.RMSNorm(self._units, elementwise_affine=False) if normal and not self._normal else None
        inner = [self._norm, ACTIVATIONS[activation](), rms, nn.Dropout(share) if share else None]
        return [*self._linear, *(module for module in inner if module is not None), *self.behind]


def hidden_layers(spec: str) -> int:
    """How many hidden layers `spec` has.

    Raises:
        UserError: The spec cannot be read.

    Example:
        >>> hidden_layers("conv:16,3/pool:2/fc:64x2")
        3
    """
    return sum(part.kind in LAYERS for part in parse(spec))


INITS = ("he", "zero-output")


def initialise(model: nn.Sequential, seed: int, init: str = "he") -> None:
    """Draws He-uniform weights, U(-b, b) with b = sqrt(6 / fan_in), in place, and sets biases to zero.

    Layer l draws from (seed, "weights", l), so its weights do not depend on the layers around it. Frozen layers keep
    their weights, and normalisations their scales. A vectorised network is drawn as `vectorized.draw` describes.
    Source: He et al. 2015; Dellaferrera & Kreiman 2022, Appendix A.

    Args:
        model: The network. Its `nn.Linear` and `nn.Conv2d` modules are numbered from 1; a nested `nn.Sequential` is
            searched too.
        seed: What the weights are drawn from.
        init: "he", or "zero-output": then those of the output layer are zero. A projection that learns comes to agree
            with the layers above it through the updates that they share; the less there is at first, the sooner.

    Raises:
        UserError: There is no such init.

    Example:
        >>> model = build("fc:8", (6,), 3)
        >>> initialise(model, seed=0)
        >>> bool(model[0].weight.abs().max() <= 1)  # b = sqrt(6 / 6)
        True
    """
    if init not in INITS:
        raise unknown("init", init, INITS)
    if is_vectorized(model):
        draw(model, seed, zero_output=init == "zero-output")
        return
    maps = [module for _, module in leaves(model) if isinstance(module, nn.Linear | nn.Conv2d)]
    for number, module in enumerate(maps, 1):
        if not module.weight.requires_grad:
            continue
        fan_in = module.weight[0].numel()
        with torch.no_grad():
            module.weight.copy_(
                uniform(tuple(module.weight.shape), (6 / fan_in) ** 0.5, generator(seed, "weights", number))
            )
            if module is maps[-1] and init == "zero-output":
                module.weight.zero_()
            if module.bias is not None:
                module.bias.zero_()
