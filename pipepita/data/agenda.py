"""What a run reads in which order, by number, so that a reader can be ahead of whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from pipepita.data.augment import Augment
from pipepita.pipeline.source import Sample, shuffled


@dataclass(frozen=True)
class Request:
    """One mini-batch to read.

    Attributes:
        test: Whether it is of the test items.
        indices: Its items.
        seed, epoch, sample: What is random about it is drawn from these; sample is its number in the epoch.
        augment: How its images are changed.
    """

    test: bool
    indices: list[int]
    seed: int = 0
    epoch: int = 0
    sample: int = 0
    augment: Augment | None = None


@dataclass(frozen=True)
class Agenda:
    """What one run reads: the training items of each epoch in its order, and after each epoch the test items.

        position   0   1   2  ...           |           | samples + tests ...
        reads      epoch 1, sample 0, 1 ... | all tests | epoch 2, sample 0, 1 ... | all tests | ...

    Example:
        >>> agenda = Agenda(train_items=5, test_items=3, batch_size=2, seed=0, epochs=2)
        >>> agenda.samples, agenda.place(2), len(agenda)
        (3, 5, 10)
        >>> agenda.request(agenda.tests(1)[0]).indices
        [0, 1]
    """

    train_items: int
    test_items: int
    batch_size: int
    seed: int
    epochs: int = 1
    augment: Augment | None = None

    @property
    def samples(self) -> int:
        """How many samples an epoch has; the last one may have fewer items."""
        return -(-self.train_items // self.batch_size)

    def place(self, epoch: int, sample: int = 0) -> int:
        """The position of an epoch's sample. epoch: from 1."""
        return (epoch - 1) * self._round + sample

    def tests(self, epoch: int) -> range:
        """The positions of the test items after an epoch."""
        return range(self.place(epoch, self.samples), self.place(epoch + 1))

    def order(self, epoch: int) -> Tensor:
        """The indices of the training items in the order of an epoch: (train_items,), int64."""
        return _order(self.train_items, self.seed, epoch)

    def augmented(self, samples: Iterator[Sample], epoch: int, first: int) -> Iterator[Sample]:
        """The epoch's samples from number `first` on, with their items changed as in a `Request`."""
        if self.augment is None:
            return samples
        change, seed = self.augment, self.seed
        return ((change(x, seed, epoch, number), y) for number, (x, y) in enumerate(samples, first))

    def request(self, position: int) -> Request:
        """What is read at a position."""
        epoch, sample = divmod(position, self._round)
        epoch += 1
        if sample >= self.samples:
            start = (sample - self.samples) * self.batch_size
            return Request(True, [*range(start, min(start + self.batch_size, self.test_items))], self.seed)
        start = sample * self.batch_size
        chosen = self.order(epoch)[start : start + self.batch_size].tolist()
        return Request(False, chosen, self.seed, epoch, sample, self.augment)

    def __len__(self) -> int:
        return self.epochs * self._round

    @property
    def _round(self) -> int:
        return self.samples + -(-self.test_items // self.batch_size)


@dataclass(frozen=True)
class Blocks:
    """All training items once, in their own order and unchanged, a few at a time."""

    train_items: int
    size: int

    def request(self, position: int) -> Request:
        """What is read at a position."""
        start = position * self.size
        return Request(False, [*range(start, min(start + self.size, self.train_items))])

    def __len__(self) -> int:
        return -(-self.train_items // self.size)


@lru_cache(maxsize=4)
def _order(items: int, seed: int, epoch: int) -> Tensor:
    return shuffled(items, seed, epoch)
