"""Cuts an `nn.Sequential` into layers, and refuses a model that no rule can train.

Flatten | Linear ReLU Dropout | Conv2d ReLU MaxPool2d Flatten | Linear
incoming  synapse activity ...   synapse activity outgoing       synapse (output layer)
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from pipepita.errors import UserError
from pipepita.network.layer import Layer, Named, Shape
from pipepita.network.modules import (
    ACTIVATION,
    DROPOUT,
    INPUT,
    NORM,
    POOL,
    SHAPE,
    SOFTMAX,
    SYNAPSE,
    frozen,
    leaves,
    role,
)
from pipepita.network.norms import check_norm


def cut(
    model: nn.Sequential, item_shape: Shape, classes: int, seed: int = 0, *, regression: bool = False
) -> list[Layer]:
    """Cuts `model` into layers, numbered from 1, which hold copies of its modules and weights.

    Args:
        model: The network, ending with the output layer.
        item_shape: The shape of one input item, without the batch.
        classes: How many classes the data has, or how many numbers are predicted of an item.
        seed: What the dropout masks are drawn from.
        regression: Whether numbers are predicted.

    Returns:
        The layers in order.

    Raises:
        UserError: The model is no `nn.Sequential`, has nothing to train, or its output layer does not have `classes`
            units. Or a module cannot be trained, stands in the wrong place, shares its weights with another one, or
            gets items of a shape that it cannot take. Then the message names it by its state_dict prefix.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3))
        >>> [(layer.number, layer.name, layer.in_shape, layer.out_shape) for layer in cut(model, (1, 8, 8), 3)]
        [(1, '1', (64,), (5,)), (2, '3', (5,), (3,))]
    """
    if not isinstance(model, nn.Sequential):
        raise UserError(f"the model is {type(model).__name__}: pipepita trains an nn.Sequential")
    frozen_names = {name for name, module in leaves(model) if frozen(module, name)}
    incoming, groups = _group(model, regression)
    if all(trainable in frozen_names for (trainable, _), *_ in groups):
        raise UserError("the model has nothing to train: all of its layers are frozen (requires_grad_(False))")
    layers = []
    for number, (trainable, *followers) in enumerate(groups, 1):
        pooled = next((i for i, (name, module) in enumerate(followers) if role(module, name) in (POOL, SHAPE)), None)
        activity, outgoing = (followers, []) if pooled is None else (followers[:pooled], followers[pooled:])
        layer = Layer(number, trainable, activity, outgoing, incoming if number == 1 else [], seed)
        layer.frozen, layer.regression = trainable[0] in frozen_names, regression
        layers.append(layer)
    shape = item_shape
    for layer in layers:
        shape = layer.fit(shape)
    last = layers[-1].synapse.module
    assert isinstance(last, nn.Linear)
    if last.out_features != classes:
        what = f"{classes} number{'s' * (classes > 1)} to predict" if regression else f"{classes} classes"
        raise UserError(f"the output layer ({layers[-1].name}) has {last.out_features} units but the data {what}")
    return layers


def _group(model: nn.Sequential, regression: bool) -> tuple[list[Named], list[list[Named]]]:
    incoming: list[Named] = []
    groups: list[list[Named]] = []
    seen: set[int] = set()
    for name, module in leaves(model):
        part = role(module, name)
        _check(name, module, part)
        if seen & {id(parameter) for parameter in module.parameters()}:
            raise UserError(f"module {name} has weights that another one has too: layers cannot share weights")
        seen |= {id(parameter) for parameter in module.parameters()}
        if part == SYNAPSE:
            groups.append([])
        if groups and part == INPUT:
            raise UserError(f"module {name} ({type(module).__name__}) comes after the first Linear or Conv2d")
        if groups:
            groups[-1].append((name, _own(module)))
        elif part in (INPUT, SHAPE):
            incoming.append((name, _own(module)))
        else:
            raise UserError(
                f"module {name} ({type(module).__name__}) comes before the first Linear or Conv2d: only Flatten and "
                "Standardize may"
            )
    if not groups:
        raise UserError("the model has nothing to train: it needs at least one Linear")
    for group in groups[:-1]:
        _check_order(group)
    name, module = groups[-1][0]
    if not isinstance(module, nn.Linear):
        raise UserError(
            f"the last trainable module ({name}) is {type(module).__name__}: the output layer must be Linear"
        )
    if groups[-1][1:] and role(groups[-1][1][1], "") == SOFTMAX:
        if regression:
            raise UserError(f"module {groups[-1][1][0]} is a Softmax, but numbers are to be predicted: leave it out")
        groups[-1].pop(1)  # the rule applies it
    if groups[-1][1:]:
        name, module = groups[-1][1]
        raise UserError(f"module {name} ({type(module).__name__}) follows the output layer: only Softmax(dim=1) may")
    return incoming, groups


def _check(name: str, module: nn.Module, part: str) -> None:
    if part == NORM:
        check_norm(name, module)
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
        raise UserError(
            f"module {name} is Flatten({module.start_dim}, {module.end_dim}): only Flatten() keeps items separate"
        )
    if part == SOFTMAX and module.dim not in (1, -1):
        raise UserError(f"module {name} is Softmax(dim={module.dim}): classes are on dim=1")
    if part == DROPOUT and not 0 <= float(module.p) < 1:  # type: ignore[arg-type]
        raise UserError(f"module {name} is {type(module).__name__}(p={module.p}): p must be at least 0 and below 1")
    if getattr(module, "return_indices", False):
        raise UserError(f"module {name} returns indices: pass return_indices=False")


def _check_order(group: list[Named]) -> None:
    pooled = None
    for name, module in group[1:]:
        part = role(module, name)
        if part == SOFTMAX:
            raise UserError(f"module {name} is a Softmax inside the network: only the output layer has one")
        if part == POOL:
            pooled = type(module).__name__
        if part == ACTIVATION and pooled:
            raise UserError(f"module {name} follows {pooled}: put {type(module).__name__}() before {pooled}")


def _own(module: nn.Module) -> nn.Module:
    """A copy for the pipeline. Updating its weights does not touch the model, and it never works in place."""
    own = copy.deepcopy(module)
    if role(module, "") == SYNAPSE:
        own.requires_grad_(False)  # of a normalisation's, it says whether they are frozen
    if getattr(own, "inplace", False):
        own.inplace = False  # type: ignore[assignment]
    for parameter in own.parameters():
        parameter.data = parameter.data.to(torch.float32)
    return own
