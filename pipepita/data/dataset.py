"""Training and test items: tensors that are held in memory once, or data sets that are read as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipepita.data.items import Items
from pipepita.data.memory import InMemory
from pipepita.errors import UserError
from pipepita.randomness import generator

if TYPE_CHECKING:
    import numpy as np
    from torch.utils.data import Dataset


class Data:
    """Training and test items with their labels, checked.

    Args:
        x_train: Training items, a tensor or array of shape (N, *item_shape). It is kept as float32: uint8 is divided by
            255, so that images are in [0, 1]; booleans become 0 and 1; floats keep their values. Other integers are
            refused.
        y_train: Their classes, integers of shape (N,) from 0, kept as int64; or numbers that are to be predicted,
            floats of shape (N,) or (N, numbers), kept as float32 of shape (N, numbers). These are learnt as they are,
            so they should be about as large as 1: subtract their mean, and divide by their standard deviation.
        x_test: Test items, of the same item shape.
        y_test: Their classes, or numbers.
        classes: How many classes there are, at least 2; by default the largest training label + 1. Of numbers it is how
            many each item has.
        name: What results and errors call the data.

    Attributes:
        name: As above.
        items: How a run gets at them.
        file: The NumPy file that they were read from; None if they come from elsewhere.

    Raises:
        UserError: A label is out of range, an input or a number to predict is NaN or infinite (the message names the
            index), shapes or sizes do not match, a dtype is none of these, or there are fewer than 2 classes.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((6, 8, 8), dtype=np.uint8)
        >>> data = Data(images[:4], [0, 1, 0, 1], images[4:], [0, 1], name="blank")
        >>> data.item_shape, data.classes, data.x_train.dtype
        ((8, 8), 2, torch.float32)
    """

    def __init__(
        self,
        x_train: Tensor | np.ndarray,
        y_train: Tensor | np.ndarray,
        x_test: Tensor | np.ndarray,
        y_test: Tensor | np.ndarray,
        classes: int = 0,
        name: str = "data",
    ) -> None:
        self.name = name
        self.file: Path | None = None
        self.items: Items = InMemory(x_train, y_train, x_test, y_test, classes, name)

    @classmethod
    def of(cls, train: Dataset, test: Dataset, *, classes: int | None = None, name: str = "data") -> Data:
        """Data that are read as they are needed, a few samples ahead, and never held in memory as a whole.

        Args:
            train: Training items, a map-style `torch.utils.data.Dataset`: `len(train)` and `train[index]`, which
                returns (x, y). x is a tensor, an array or a PIL image, which becomes (channels, height, width). It is
                made float32 as in `Data(...)`. y is the class, a whole number. Random transforms may use the global
                generators of torch, NumPy and Python: these are seeded from (seed, epoch, index) for each item.
            test: Test items, of the same shape.
            classes: How many classes there are; by default the length of `train.classes`, if it has such a list.
            name: What results and errors call the data.

        Returns:
            The data. While a run lasts, worker processes read them (its option `loader_workers`).

        Raises:
            UserError: One of the two is no such data set, or its first item is wrong; or nothing says how many classes
                there are, or it says fewer than 2. A wrong item further on ends the run with a `RunError` that names
                it.

        Example:
            >>> from torch.utils.data import TensorDataset
            >>> train = TensorDataset(torch.rand(40, 1, 8, 8), torch.arange(40) % 4)
            >>> data = Data.of(train, train, classes=4, name="noise")
            >>> data.item_shape, data.classes, data.items.train_items
            ((1, 8, 8), 4, 40)
        """
        from pipepita.data.loaded import Loaded

        return cls._holding(Loaded.of(train, test, classes, name), name)

    @classmethod
    def _holding(cls, items: Items, name: str, file: Path | None = None) -> Data:
        data = cls.__new__(cls)
        data.items, data.name, data.file = items, name, file
        return data

    def __repr__(self) -> str:
        labels = f"{self.classes} {'numbers each' if self.regression else 'classes'}"
        shape = " x ".join(map(str, self.item_shape))
        counts = f"{self.items.train_items} training and {self.items.test_items} test items"
        return f"<Data {self.name}: {counts} of {shape}, {labels}>"

    @property
    def item_shape(self) -> tuple[int, ...]:
        """The shape of one item."""
        return self.items.item_shape

    @property
    def classes(self) -> int:
        """How many classes there are, or how many numbers each item is labelled with."""
        return self.items.classes

    @property
    def regression(self) -> bool:
        """Whether labels are numbers that are to be predicted, instead of classes."""
        return self.items.regression

    @property
    def x_train(self) -> Tensor:
        """All training items, (N, *item_shape), float32. `UserError` if they are not in memory; so are the next."""
        return self._memory.x_train

    @property
    def y_train(self) -> Tensor:
        """Their classes, (N,), int64; or numbers, (N, numbers), float32."""
        return self._memory.y_train

    @property
    def x_test(self) -> Tensor:
        """All test items, (N, *item_shape), float32."""
        return self._memory.x_test

    @property
    def y_test(self) -> Tensor:
        """Their classes, (N,), int64; or numbers, (N, numbers), float32."""
        return self._memory.y_test

    @property
    def _memory(self) -> InMemory:
        if not isinstance(self.items, InMemory):
            raise UserError(
                f"{self.name} is not held in memory, and all of its items are needed here: make a Data of them"
            )
        return self.items

    @contextmanager
    def open(self, workers: int | None, batch_size: int) -> Iterator[Data]:
        """The same data, whose items may be read ahead of need while the context lasts. See `Items.open`."""
        with self.items.open(workers, batch_size) as items:
            yield self._holding(items, self.name, self.file)

    def first(self, items: int, seed: int) -> Data:
        """The same data with only `items` of the training items, which are drawn by `seed`."""
        chosen = torch.randperm(self.items.train_items, generator=generator(seed, "subset"))[:items]
        return self._holding(self.items.only(chosen), self.name, self.file)

    def validating(self, share: float) -> Data:
        """The same data, tested on some of the training items, which are no longer learnt from.

        Settings are chosen by them, so that the test items stay unseen. They are drawn without a seed of the run's, so
        that all runs are tested on the same ones. Those of `Data.of` are still read from its `train`, with the
        transforms that this has.

        Args:
            share: Which share of the training items is held out; 0 leaves everything as it is.

        Raises:
            UserError: Nothing would be left to learn from, or to be tested on.

        Example:
            >>> import pipepita as pp
            >>> items = pp.load("digits").validating(0.2).items
            >>> items.train_items, items.test_items
            (1154, 288)
        """
        if not share:
            return self
        items = self.items.train_items
        held_out = round(share * items)
        if not 0 < held_out < items:
            raise UserError(
                f"validation {share}: of {items} training items {held_out} would be held out: at least 1, and not all"
            )
        order = torch.randperm(items, generator=generator(0, "validation"))
        return self._holding(self.items.only(order[held_out:], order[:held_out]), self.name, self.file)

    def fingerprint(self) -> str:
        """SHA-256 of shapes and some items: enough to tell data sets apart."""
        return self.items.fingerprint()
