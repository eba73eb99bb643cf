"""Items in memory, checked once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import numpy as np
import torch
from torch import Tensor

from pipepita.data.agenda import Agenda
from pipepita.errors import UserError
from pipepita.network.standardize import BLOCK
from pipepita.pipeline.source import Prepared, Sample, Source, batches

_MOST_CLASSES = 1_000_000
_FINGERPRINT_ITEMS = 500


class InMemory:
    """`Items` that are tensors. The arguments are those of `Data`."""

    def __init__(
        self, x_train: object, y_train: object, x_test: object, y_test: object, classes: int, name: str
    ) -> None:
        self._name = name
        self.x_train, self.x_test = self._inputs("x_train", x_train), self._inputs("x_test", x_test)
        self.y_train, self.y_test = self._labels("y_train", y_train), self._labels("y_test", y_test)
        self.item_shape = tuple(self.x_train.shape[1:])
        if tuple(self.x_test.shape[1:]) != self.item_shape:
            raise UserError(
                f"{name}: x_test holds items of {tuple(self.x_test.shape[1:])}, x_train of {self.item_shape}"
            )
        for part, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            if len(x) != len(y):
                raise UserError(f"{name}: x_{part} has {len(x)} items but y_{part} {len(y)} labels")
        self.train_items, self.test_items = len(self.x_train), len(self.x_test)
        if isinstance(classes, bool) or not isinstance(classes, int):
            raise UserError(f"{name}: classes is {classes!r}: it must be a whole number")
        self.regression = self.y_train.is_floating_point()
        if self.y_test.is_floating_point() != self.regression:
            raise UserError(
                f"{name}: y_train is {self.y_train.dtype} and y_test {self.y_test.dtype}: both must be classes "
                "(integers), or both numbers (floats)"
            )
        if self.regression:
            self._check_numbers(classes)
        else:
            self._check_classes(classes)

    def _check_numbers(self, count: int) -> None:
        self.classes = count or self.y_train.shape[1]
        for part, y in (("train", self.y_train), ("test", self.y_test)):
            if y.shape[1] != self.classes:
                raise UserError(
                    f"{self._name}: y_{part} has {y.shape[1]} numbers per item: it must have {self.classes}"
                )

    def _check_classes(self, classes: int) -> None:
        name, most = self._name, int(self.y_train.max())
        if most >= _MOST_CLASSES:
            index = int(self.y_train.argmax())
            raise UserError(f"{name}: y_train[{index}] is {most}: labels are below {_MOST_CLASSES}")
        self.classes = classes or most + 1
        labels = f"labels go from 0 to {self.classes - 1}" if self.classes > 1 else "labels begin at 0"
        for part, y in (("train", self.y_train), ("test", self.y_test)):
            wrong = ((y < 0) | (y >= max(1, self.classes))).nonzero()
            if len(wrong):
                index = int(wrong[0])
                raise UserError(f"{name}: y_{part}[{index}] is {int(y[index])}: {labels}")
        if self.classes < 2:
            raise UserError(f"{name}: {self.classes} class: training needs at least 2")

    def open(self, workers: int | None, batch_size: int) -> AbstractContextManager[Self]:
        return nullcontext(self)

    def expect(self, agenda: Agenda, epoch: int, first: int = 0) -> None:
        """Does nothing: all items are there."""

    def train(self, agenda: Agenda, epoch: int, first: int = 0, last: int | None = None) -> Source:
        size = agenda.batch_size
        order = agenda.order(epoch)[first * size : None if last is None else last * size]
        return Prepared(agenda.augmented(batches(self.x_train, self.y_train, order, size), epoch, first))

    def test(self, agenda: Agenda, epoch: int) -> Iterator[Sample]:
        return batches(self.x_test, self.y_test, torch.arange(self.test_items), agenda.batch_size)

    def blocks(self) -> Iterator[Tensor]:
        return iter(self.x_train.split(BLOCK))

    def some(self, count: int) -> Sample:
        return self.x_train[:count], self.y_train[:count]

    def only(self, chosen: Tensor, tested: Tensor | None = None) -> InMemory:
        test = (self.x_test, self.y_test) if tested is None else (self.x_train[tested], self.y_train[tested])
        return InMemory(self.x_train[chosen], self.y_train[chosen], *test, self.classes, self._name)

    def fingerprint(self) -> str:
        """Of the shapes, all labels and about a thousand items."""
        digest = hashlib.sha256(repr((self.x_train.shape, self.x_test.shape, self.classes)).encode())
        for x, y in ((self.x_train, self.y_train), (self.x_test, self.y_test)):
            some = x[:: max(1, len(x) // _FINGERPRINT_ITEMS)]
            digest.update(y.numpy().tobytes() + some.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _inputs(self, name: str, values: object) -> Tensor:
        x = _tensor(f"{self._name}: {name}", values)
        if x.ndim < 2 or not len(x) or not x[0].numel():
            raise UserError(
                f"{self._name}: {name} has shape {tuple(x.shape)}: it must be (items, *shape of one), not empty"
            )
        if x.ndim > 6:
            raise UserError(f"{self._name}: {name} has {x.ndim} dimensions: at most 6 are supported")
        if x.dtype in (torch.uint8, torch.bool):
            return x.to(torch.float32).div_(255 if x.dtype == torch.uint8 else 1)
        if not x.is_floating_point():
            raise UserError(f"{self._name}: {name} is {x.dtype}: it must be floats, or uint8 from 0 to 255")
        x = x.to(torch.float32).contiguous()  # before the check: a large double becomes infinite
        # checked in blocks: item by item would be slow, and one mask for all items would be large
        for start in range(0, len(x), 4096):
            rows = torch.isfinite(x[start : start + 4096].flatten(1)).all(1)
            if not rows.all():
                index = start + int((~rows).nonzero()[0])
                raise UserError(f"{self._name}: {name}[{index}] holds a NaN or an infinite value")
        return x

    def _labels(self, name: str, values: object) -> Tensor:
        y = _tensor(f"{self._name}: {name}", values)
        if y.is_floating_point() and (y.ndim == 1 or (y.ndim == 2 and y.shape[1])):
            y = y.to(torch.float32).contiguous().view(len(y), -1)  # before the check: a large double becomes infinite
            wrong = (~torch.isfinite(y).all(1)).nonzero()
            if len(wrong):
                raise UserError(f"{self._name}: {name}[{int(wrong[0])}] holds a NaN or an infinite value")
            return y
        if y.ndim != 1 or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise UserError(
                f"{self._name}: {name} is {y.dtype} of shape {tuple(y.shape)}: it must be (items,) of integers, or "
                "(items,) or (items, numbers) of floats"
            )
        return y.to(torch.int64)


def _tensor(name: str, values: object) -> Tensor:
    try:
        if isinstance(values, Tensor):
            return values.detach().to_dense().cpu() if values.layout != torch.strided else values.detach().cpu()
        array = np.ascontiguousarray(values)  # torch takes neither negative strides nor foreign byte order
        return torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{name} cannot become a tensor: {error}") from None
