"""Training and test items, held once in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from pipepita.errors import UserError
from pipepita.randomness import generator

_FINGERPRINT_ITEMS = 500


@dataclass
class Data:
    """Items and labels, checked.

    x_train, x_test: (N, *item_shape), tensors or arrays; uint8 is divided by 255, so that images come to [0, 1];
    booleans become 0 and 1; floats are taken as they are. y_train, y_test: (N,) integer classes from 0.
    classes: by default the largest training label + 1. Held as float32 and int64.
    Raises `UserError`, naming the index, for labels out of range, NaN or infinite inputs, and sizes that do not match.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: int = 0
    name: str = "data"
    item_shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.x_train, self.x_test = self._inputs("x_train", self.x_train), self._inputs("x_test", self.x_test)
        self.y_train, self.y_test = self._labels("y_train", self.y_train), self._labels("y_test", self.y_test)
        self.item_shape = tuple(self.x_train.shape[1:])
        if tuple(self.x_test.shape[1:]) != self.item_shape:
            raise UserError(
                f"{self.name}: x_test holds items of {tuple(self.x_test.shape[1:])}, x_train of {self.item_shape}"
            )
        for part, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            if len(x) != len(y):
                raise UserError(f"{self.name}: x_{part} has {len(x)} items but y_{part} {len(y)} labels")
        if isinstance(self.classes, bool) or not isinstance(self.classes, int):
            raise UserError(f"{self.name}: classes is {self.classes!r}: it must be a whole number")
        if not self.classes:
            self.classes = int(self.y_train.max()) + 1
        if self.classes < 2:
            raise UserError(f"{self.name}: {self.classes} class: training needs at least 2")
        for part, y in (("train", self.y_train), ("test", self.y_test)):
            wrong = ((y < 0) | (y >= self.classes)).nonzero()
            if len(wrong):
                index = int(wrong[0])
                raise UserError(
                    f"{self.name}: y_{part}[{index}] is {int(y[index])}: labels go from 0 to {self.classes - 1}"
                )

    def first(self, items: int, seed: int) -> Data:
        """The same with only `items` training items, the first of a shuffle by `seed`."""
        chosen = torch.randperm(len(self.x_train), generator=generator(seed, "subset"))[:items]
        return replace(self, x_train=self.x_train[chosen], y_train=self.y_train[chosen])

    def fingerprint(self) -> str:
        """SHA-256 of the shapes, all labels, and a thousand items: enough to tell one data set from another."""
        digest = hashlib.sha256(repr((self.x_train.shape, self.x_test.shape, self.classes)).encode())
        for x, y in ((self.x_train, self.y_train), (self.x_test, self.y_test)):
            some = x[:: max(1, len(x) // _FINGERPRINT_ITEMS)]
            digest.update(y.numpy().tobytes() + some.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _inputs(self, name: str, values: Tensor | np.ndarray) -> Tensor:
        x = _tensor(f"{self.name}: {name}", values)
        if x.ndim < 2 or not len(x) or not x[0].numel():
            raise UserError(
                f"{self.name}: {name} has shape {tuple(x.shape)}: it must be (items, *shape of one), not empty"
            )
        if x.ndim > 6:
            raise UserError(f"{self.name}: {name} has {x.ndim} dimensions: 6 are the most")
        if x.dtype in (torch.uint8, torch.bool):
            return x.to(torch.float32).div_(255 if x.dtype == torch.uint8 else 1)
        if not x.is_floating_point():
            raise UserError(f"{self.name}: {name} is {x.dtype}: it must be floats, or uint8 from 0 to 255")
        x = x.to(torch.float32).contiguous()  # before the check: a large double becomes infinite
        # one item after the other would be slow, one mask for all large: rows in blocks
        for start in range(0, len(x), 4096):
            rows = torch.isfinite(x[start : start + 4096].flatten(1)).all(1)
            if not rows.all():
                index = start + int((~rows).nonzero()[0])
                raise UserError(f"{self.name}: {name}[{index}] holds a NaN or an infinite value")
        return x

    def _labels(self, name: str, values: Tensor | np.ndarray) -> Tensor:
        y = _tensor(f"{self.name}: {name}", values)
        if y.ndim != 1 or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise UserError(
                f"{self.name}: {name} is {y.dtype} of shape {tuple(y.shape)}: it must be (items,) of integers"
            )
        return y.to(torch.int64)


def _tensor(name: str, values: Tensor | np.ndarray) -> Tensor:
    try:
        if isinstance(values, Tensor):
            return values.detach().to_dense().cpu() if values.layout != torch.strided else values.detach().cpu()
        array = np.ascontiguousarray(values)  # torch takes neither negative strides nor foreign byte order
        return torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{name} cannot become a tensor: {error}") from None
