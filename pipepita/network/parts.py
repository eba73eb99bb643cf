"""The parts of a spec string as torch modules. A new kind of part is one function here and one entry in a table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import nn

from pipepita.errors import UserError, unknown
from pipepita.network.grammar import Part

Shape = tuple[int, ...]
_MOST = 1_000_000  # units, or any other number
Made = tuple[list[nn.Module], Shape]


def flatten(shape: Shape) -> list[nn.Module]:
    """An `nn.Flatten` for items that are not flat."""
    return [nn.Flatten()] if len(shape) > 1 else []


def _numbers(part: Part) -> list[int]:
    """The arguments of `part`, which are whole numbers of at least 1 (a padding may be 0)."""
    if not all(re.fullmatch("[0-9]{1,20}", argument) for argument in part.arguments):
        raise UserError(f"cannot read {part.text!r}; write it like fc:1024, fc:256x8 or conv:32,5/pool:2")
    numbers = [int(argument) for argument in part.arguments]
    if min(numbers[:3]) < 1:
        raise UserError(f"network: {part.text!r} has a number below 1")
    if max(numbers) > _MOST:
        raise UserError(f"network: {part.text!r} has a number above {_MOST}")
    return numbers


def _fc(part: Part, shape: Shape) -> Made:
    numbers = _numbers(part)
    if len(numbers) != 1:
        raise UserError(f"fc takes one number, its units, not {numbers}: fc:1024")
    return [*flatten(shape), nn.Linear(math.prod(shape), numbers[0], bias=False)], (numbers[0],)


def _conv(part: Part, shape: Shape) -> Made:
    numbers = _numbers(part)
    if not 2 <= len(numbers) <= 4:
        raise UserError(f"conv takes filters,kernel[,stride[,padding]], not {numbers}: conv:32,5")
    _needs_image(part, shape)
    filters, *geometry = numbers  # kernel, stride, padding
    module = nn.Conv2d(shape[0], filters, *geometry, bias=False)  # type: ignore[misc, arg-type]
    return [module], _after(module, part, shape)


def _pool(kind: type[nn.Module]) -> Callable[[Part, Shape], Made]:
    def pool(part: Part, shape: Shape) -> Made:
        numbers = _numbers(part)
        if not 1 <= len(numbers) <= 2:
            raise UserError(f"pool takes size[,stride], not {numbers}: pool:2")
        _needs_image(part, shape)
        module = kind(*numbers)
        return [module], _after(module, part, shape)

    return pool


def _needs_image(part: Part, shape: Shape) -> None:
    if len(shape) != 3:
        raise UserError(
            f"{part.kind} needs items of shape (channels, height, width), but they have shape {shape} there"
        )


def _after(module: nn.Module, part: Part, shape: Shape) -> Shape:
    try:
        with torch.inference_mode():
            return tuple(module(torch.zeros(1, *shape)).shape[1:])
    except RuntimeError:
        raise UserError(f"{part.text} does not fit items of shape {shape}") from None


LAYERS: dict[str, Callable[[Part, Shape], Made]] = {"fc": _fc, "conv": _conv}
POOLS: dict[str, Callable[[Part, Shape], Made]] = {"pool": _pool(nn.MaxPool2d), "avgpool": _pool(nn.AvgPool2d)}


def norm(part: Part, shape: Shape) -> nn.Module:
    """The normalisation of items of `shape`: `norm:batch`, `norm:layer`, `norm:rms`, `norm:item` or `norm:group,G`.

    Raises `UserError` if it is none of these, or G does not divide the channels.
    """
    kind, *rest = part.arguments
    if kind not in _NORMS:
        raise unknown(f"normalisation of {part.text!r}:", kind, _NORMS)
    if len(rest) != (kind == "group"):
        raise UserError(
            f"network: {part.text!r}: write norm:batch, norm:layer, norm:rms, norm:item or norm:group,GROUPS"
        )
    return _NORMS[kind](part, shape)


def _group(part: Part, shape: Shape) -> nn.Module:
    groups = part.arguments[1]
    if not re.fullmatch("[0-9]{1,20}", groups) or not int(groups) or shape[0] % int(groups):
        raise UserError(f"network: {part.text!r}: {groups} is not a number of groups that divides {shape[0]} channels")
    return nn.GroupNorm(int(groups), shape[0])


_NORMS: dict[str, Callable[[Part, Shape], nn.Module]] = {
    "batch": lambda part, shape: (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0]),
    "layer": lambda part, shape: nn.LayerNorm(shape),
    "rms": lambda part, shape: nn.RMSNorm(shape),
    "item": lambda part, shape: nn.RMSNorm(shape, elementwise_affine=False),
    "group": _group,
}


def share_of(part: Part) -> float:
    """The probability of `dropout:P`. Raises `UserError` if it is not a number of at least 0 and below 1."""
    try:
        (text,) = part.arguments
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UserError(f"network: {part.text!r} is not a probability: write dropout:0.1, at least 0 and below 1")
    return share
