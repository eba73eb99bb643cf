"""Training and test items, held in memory once."""

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
    """Training and test items with their labels, checked.

    Args:
        x_train: Training items, a tensor or array of shape (N, *item_shape). It is kept as float32: uint8 is divided by
            255, so that images are in [0, 1]; booleans become 0 and 1; floats keep their values.
        y_train: Their classes, integers of shape (N,) from 0; kept as int64.
        x_test: Test items, of the same item shape.
        y_test: Their classes.
        classes: How many classes there are; by default the largest training label + 1.
        name: What results and errors call the data.

    Raises:
        UserError: A label is out of range, an input is NaN or infinite (the message names the index), or sizes do not
            match.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((6, 8, 8), dtype=np.uint8)
        >>> data = Data(images[:4], [0, 1, 0, 1], images[4:], [0, 1], name="blank")
        >>> data.item_shape, data.classes, data.x_train.dtype
        ((8, 8), 2, torch.float32)
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
        """The same data with only `items` of the training items, which are drawn by `seed`."""
        chosen = torch.randperm(len(self.x_train), generator=generator(seed, "subset"))[:items]
        return replace(self, x_train=self.x_train[chosen], y_train=self.y_train[chosen])

    def fingerprint(self) -> str:
        """SHA-256 of the shapes, all labels and about a thousand items: enough to tell data sets apart."""
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
            raise UserError(f"{self.name}: {name} has {x.ndim} dimensions: at most 6 are supported")
        if x.dtype in (torch.uint8, torch.bool):
            return x.to(torch.float32).div_(255 if x.dtype == torch.uint8 else 1)
        if not x.is_floating_point():
            raise UserError(f"{self.name}: {name} is {x.dtype}: it must be floats, or uint8 from 0 to 255")
        x = x.to(torch.float32).contiguous()  # before the check: a large double becomes infinite
        # checked in blocks: item by item would be slow, and one mask for all items would be large
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
