"""One item of a stream: how anything is checked and becomes a float32 tensor and a class, or numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipepita.errors import UserError

Label = int | tuple[float, ...]  # a class, or the numbers that are to be predicted
Item = tuple[Tensor, Label]


def features(x: Mapping[Hashable, Any], where: str) -> dict[Hashable, float]:
    """A river dict as numbers. Bools become 0 and 1, text is read as a number; `UserError` for any other value."""
    numbers = {}
    for key, value in x.items():
        try:
            numbers[key] = float(value)
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"{where}: feature {key!r} is {value!r}: it must be a number or a bool") from None
        if not math.isfinite(numbers[key]):
            raise UserError(f"{where}: feature {key!r} is {value!r}: it must be finite")
    return numbers


def pair(item: Any, where: str) -> tuple[Any, Any]:
    """The two parts of an item; `UserError` if it is no pair."""
    try:
        x, y = item
    except (TypeError, ValueError):
        raise UserError(f"{where} is {type(item).__name__}: it must be a pair (x, y)") from None
    return x, y


def vector(x: Any, keys: list[Hashable] | None, where: str) -> Tensor:
    """`x` as a float32 tensor. uint8 is divided by 255.

    Args:
        x: A tensor, an array or a sequence; or, if there are `keys`, a dict that has exactly these.
        keys: The order of a dict's features.
        where: Names the item in errors.

    Raises:
        UserError: `x` cannot become a tensor, is empty, or is not finite.
    """
    if isinstance(x, Mapping) != (keys is not None):
        raise UserError(f"{where} is {type(x).__name__}: either all items are dicts of features, or none")
    if keys is not None:
        x = _ordered(x, keys, where)
    try:
        tensor = x.detach().to("cpu") if isinstance(x, Tensor) else _of_array(np.array(x, order="C"))
        numbers = tensor.to(torch.float32)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{where} cannot become a tensor: {(str(error).splitlines() or ['?'])[0]}") from None
    if not numbers.ndim or not numbers.numel():
        raise UserError(f"{where} has shape {tuple(numbers.shape)}: it must be a vector or an image, not empty")
    if not torch.isfinite(numbers).all():
        raise UserError(f"{where} holds a NaN or an infinite value")
    return numbers / 255 if tensor.dtype == torch.uint8 else numbers


def _of_array(array: np.ndarray) -> Tensor:
    # torch takes no foreign byte order
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _ordered(x: Mapping[Hashable, Any], keys: list[Hashable], where: str) -> list[float]:
    numbers = features(x, where)
    for key in keys:
        if key not in numbers:
            raise UserError(f"{where} lacks feature {key!r}, which the first item has")
    if len(numbers) > len(keys):
        more = next(key for key in numbers if key not in keys)
        raise UserError(f"{where} has feature {more!r}, which the first item lacks")
    return [numbers[key] for key in keys]


class Numbers:
    """Turns labels into numbers that are to be predicted.

    Args:
        count: How many there are for each item.
    """

    names: Sequence[str] = ()

    def __init__(self, count: int) -> None:
        self._count = count

    def read(self, y: Any, where: str) -> tuple[float, ...]:
        """Label `y`, a number or as many as there must be, as floats; `UserError` if it is no such thing."""
        try:
            values = np.asarray(y)
            numbers = tuple(values.astype(np.float64).reshape(-1).tolist()) if values.dtype.kind in "fiub" else ()
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) != self._count or not all(map(math.isfinite, numbers)):
            right = "a finite number" if self._count == 1 else f"{self._count} finite numbers"
            raise UserError(f"{where}: the label is {' '.join(repr(y).split())[:60]}: it must be {right}")
        return numbers


class Labels:
    """Turns labels into classes. Strings are numbered from 0 in the order in which they come; ints and bools stay."""

    def __init__(self, classes: int, names: Sequence[str] = ()) -> None:
        self._classes = classes
        self._names: dict[str, int] = {name: number for number, name in enumerate(names)}
        self._kind: type | None = str if names else None

    @property
    def names(self) -> list[str]:
        """The strings so far, in the order of their classes."""
        return [*self._names]

    def read(self, y: Any, where: str) -> int:
        """The class of label `y`; `UserError` if it is no label, or there are more labels than classes."""
        kind = str if isinstance(y, str) else int
        if self._kind is not None and kind is not self._kind:
            raise UserError(f"{where}: the label is {y!r}: labels are strings, or integers, but not both")
        self._kind = kind
        if isinstance(y, str):
            if y not in self._names and len(self._names) == self._classes:
                raise UserError(f"{where}: the label is {y!r}, after {self._classes} others: more than the classes")
            return self._names.setdefault(y, len(self._names))
        label = integer(y, where)
        if not 0 <= label < self._classes:
            raise UserError(f"{where}: the label is {label}: labels go from 0 to {self._classes - 1}")
        return label


def integer(y: Any, where: str) -> int:
    """An int or a bool as an int; `UserError` for any other label."""
    try:
        return int(y) if isinstance(y, np.bool_) else operator.index(y)
    except TypeError:
        raise UserError(f"{where}: the label is {y!r}: it must be an integer, a bool or a string") from None
