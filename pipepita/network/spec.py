"""Spec strings such as `fc:256x8` or `conv:32,5/pool:2/fc:256`: a short way to write an `nn.Sequential`.

    fc:N              a hidden layer of N units
    conv:N,K[,S[,P]]  N filters of K x K, stride S, padding P
    pool:K[,S]        max pooling over K x K, stride S (avgpool: average pooling)
    ...xR             R of them, one after the other

The output layer comes from the data. There are no biases, as in the paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import nn

from pipepita.errors import UserError, unknown
from pipepita.network.modules import ACTIVATION, ACTIVATIONS, NORM, children, leaves, role
from pipepita.network.standardize import Standardize
from pipepita.randomness import generator, uniform

Shape = tuple[int, ...]
_MOST_UNITS, _MOST_LAYERS = 1_000_000, 1_000
_PART = re.compile(r"([a-z]+):(\d+(?:,\d+)*)(?:x(\d+))?")


def build(
    spec: str, item_shape: Shape, classes: int, *, activation: str = "relu", dropout: float = 0.0, normal: bool = False
) -> nn.Sequential:
    """Makes an `nn.Sequential` from a spec string.

    Each hidden layer is a linear map or a convolution, then the activation function, then (with `normal`) an
    `nn.RMSNorm` without parameters, then dropout, then pooling. The output layer is an `nn.Linear`. No layer has a
    bias. The weights are torch's own random ones; `initialise` draws those of the paper.

    Args:
        spec: The hidden layers, like "fc:256x8" or "conv:32,5/pool:2/fc:256"; the syntax is at the top of this module.
        item_shape: The shape of one input item, without the batch: (features,) or (channels, height, width).
        classes: How many classes there are, which is the width of the output layer.
        activation: The activation function of hidden layers, by its name in lower case, like "relu" or "tanh".
        dropout: The probability that a unit of a hidden layer is dropped, at least 0 and below 1.
        normal: Whether each item's hidden activity is divided by its root mean square.

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
    """
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if not 0 <= dropout < 1:
        raise UserError(f"dropout {dropout} is not a probability: 0 <= dropout < 1")
    blocks: list[nn.Module] = []
    shape = item_shape
    for kind, numbers in _parts(spec):
        new, shape = _BUILDERS[kind](numbers, shape)
        if kind in ("fc", "conv"):
            new.append(ACTIVATIONS[activation]())
            new += [nn.RMSNorm(shape, elementwise_affine=False)] if normal else []
            new += [nn.Dropout(dropout)] if dropout else []
        elif not blocks:
            raise UserError(f"network {spec!r} begins with {kind}: begin with fc or conv")
        blocks += new
    return nn.Sequential(*blocks, *_flatten(shape), nn.Linear(math.prod(shape), classes, bias=False))


def hidden_layers(spec: str) -> int:
    """How many hidden layers `spec` has.

    Raises:
        UserError: The spec cannot be read.

    Example:
        >>> hidden_layers("conv:16,3/pool:2/fc:64x2")
        3
    """
    return sum(kind in ("fc", "conv") for kind, _ in _parts(spec))


def _parts(spec: str) -> list[tuple[str, list[int]]]:
    parts: list[tuple[str, list[int]]] = []
    for text in spec.split("/"):
        match = _PART.fullmatch(text.strip())
        if not match:
            raise UserError(
                f"network {spec!r}: cannot read {text!r}; write it like fc:1024, fc:256x8 or conv:32,5/pool:2"
            )
        kind, numbers, repeat = match[1], [int(n) for n in match[2].split(",")], int(match[3] or 1)
        if kind not in _BUILDERS:
            raise unknown(f"part of network {spec!r}:", kind, _BUILDERS)
        if repeat < 1 or min(numbers[:3]) < 1:
            raise UserError(f"network {spec!r}: {text!r} has a number below 1")
        if max(numbers) > _MOST_UNITS or repeat > _MOST_LAYERS:
            raise UserError(f"network {spec!r}: {text!r} is above {_MOST_UNITS} units or {_MOST_LAYERS} layers")
        parts += [(kind, numbers)] * repeat
    return parts


def _flatten(shape: Shape) -> list[nn.Module]:
    return [nn.Flatten()] if len(shape) > 1 else []


def _fc(numbers: list[int], shape: Shape) -> tuple[list[nn.Module], Shape]:
    if len(numbers) != 1:
        raise UserError(f"fc takes one number, its units, not {numbers}: fc:1024")
    return [*_flatten(shape), nn.Linear(math.prod(shape), numbers[0], bias=False)], (numbers[0],)


def _conv(numbers: list[int], shape: Shape) -> tuple[list[nn.Module], Shape]:
    if not 2 <= len(numbers) <= 4:
        raise UserError(f"conv takes filters,kernel[,stride[,padding]], not {numbers}: conv:32,5")
    _needs_image("conv", shape)
    filters, *geometry = numbers  # kernel, stride, padding
    module = nn.Conv2d(shape[0], filters, *geometry, bias=False)  # type: ignore[misc, arg-type]
    return [module], _after(module, "conv", numbers, shape)


def _pool(kind: type[nn.Module]) -> Callable[[list[int], Shape], tuple[list[nn.Module], Shape]]:
    def pool(numbers: list[int], shape: Shape) -> tuple[list[nn.Module], Shape]:
        if not 1 <= len(numbers) <= 2:
            raise UserError(f"pool takes size[,stride], not {numbers}: pool:2")
        _needs_image("pool", shape)
        module = kind(*numbers)
        return [module], _after(module, "pool", numbers, shape)

    return pool


def _needs_image(kind: str, shape: Shape) -> None:
    if len(shape) != 3:
        raise UserError(f"{kind} needs items of shape (channels, height, width), but they have shape {shape} there")


def _after(module: nn.Module, kind: str, numbers: list[int], shape: Shape) -> Shape:
    try:
        with torch.inference_mode():
            return tuple(module(torch.zeros(1, *shape)).shape[1:])
    except RuntimeError:
        raise UserError(f"{kind}:{','.join(map(str, numbers))} does not fit items of shape {shape}") from None


_BUILDERS: dict[str, Callable[[list[int], Shape], tuple[list[nn.Module], Shape]]] = {
    "fc": _fc,
    "conv": _conv,
    "pool": _pool(nn.MaxPool2d),
    "avgpool": _pool(nn.AvgPool2d),
}


def initialise(model: nn.Sequential, seed: int) -> None:
    """Draws He-uniform weights, U(-b, b) with b = sqrt(6 / fan_in), in place, and sets biases to zero.

    Layer l draws from (seed, "weights", l), so its weights do not depend on the layers around it. Frozen layers keep
    their weights. Source: He et al. 2015; Dellaferrera & Kreiman 2022, Appendix A.

    Args:
        model: The network. Its `nn.Linear` and `nn.Conv2d` modules are numbered from 1; a nested `nn.Sequential` is
            searched too.
        seed: What the weights are drawn from.

    Example:
        >>> model = build("fc:8", (6,), 3)
        >>> initialise(model, seed=0)
        >>> bool(model[0].weight.abs().max() <= 1)  # b = sqrt(6 / 6)
        True
    """
    number = 0
    for _, module in leaves(model):
        if isinstance(module, nn.Linear | nn.Conv2d):
            number += 1
            if not module.weight.requires_grad:
                continue
            fan_in = module.weight[0].numel()
            with torch.no_grad():
                module.weight.copy_(
                    uniform(tuple(module.weight.shape), (6 / fan_in) ** 0.5, generator(seed, "weights", number))
                )
                if module.bias is not None:
                    module.bias.zero_()


def normalized(model: nn.Sequential, item_shape: Shape) -> nn.Sequential:
    """Puts an `nn.RMSNorm` without parameters after each hidden activation that has none yet, in place.

    It divides each item's hidden activity by its own root mean square. The other modules keep their names: a norm
    after child "1" is called "1_norm".

    Args:
        model: The network; it holds no other `nn.Sequential`.
        item_shape: The shape of one input item, without the batch.

    Returns:
        `model` itself.

    Raises:
        UserError: The model holds an `nn.Sequential`.

    Example:
        >>> model = build("fc:8", (6,), 3)
        >>> [name for name, _ in normalized(model, (6,)).named_children()]
        ['0', '1', '1_norm', '2']
    """
    before = children(model)
    rebuilt: list[tuple[str, nn.Module]] = []
    x = torch.zeros(1, *item_shape)
    was_training = model.training
    model.eval()
    for position, (name, module) in enumerate(before):
        with torch.inference_mode():
            x = module(x)
        rebuilt.append((name, module))
        if isinstance(module, nn.Sequential):
            raise UserError(f"normalize: module {name} is an nn.Sequential: write out its modules, or add nn.RMSNorm")
        follower = before[position + 1][1] if position + 1 < len(before) else None
        if role(module, name) == ACTIVATION and follower is not None and role(follower, "") != NORM:
            rebuilt.append((f"{name}_norm", nn.RMSNorm(x.shape[1:], elementwise_affine=False)))
    for name, _ in before:
        delattr(model, name)
    for name, module in rebuilt:
        model.add_module(name, module)
    return model.train(was_training)


def standardized(model: nn.Sequential, items: torch.Tensor) -> nn.Sequential:
    """Puts a `Standardize` with the figures of `items` in front of `model`, in place, under the name "standardize".

    Args:
        model: The network. If it begins with a `Standardize`, that one is replaced.
        items: The training items, (N, *item_shape), float32.

    Returns:
        `model` itself.

    Example:
        >>> model = standardized(build("fc:8", (6,), 3), torch.rand(20, 6))
        >>> [name for name, _ in model.named_children()]
        ['standardize', '0', '1', '2']
    """
    before = [(name, module) for name, module in children(model) if not isinstance(module, Standardize)]
    for name, _ in children(model):
        delattr(model, name)
    for name, module in [("standardize", Standardize.of(items)), *before]:
        model.add_module(name, module)
    return model
