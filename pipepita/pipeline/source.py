"""Where the coordinator's samples come from. Stored items are here; live ones are in `pipepita.live`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from pipepita.randomness import generator

Sample = tuple[Tensor, Tensor]
Taken = Sample | tuple[Tensor, None]  # without labels


class Source(Protocol):
    """A source of samples. For each sample, the coordinator calls `take`, then `ahead`, and later `answer`.

    Example:
        >>> x, y = torch.rand(5, 3), torch.arange(5)
        >>> source = Stored(x, y, shuffled(len(x), seed=0, epoch=1), batch_size=2)
        >>> while (sample := source.take()) is not None:
        ...     source.ahead()
        ...     items, labels = sample
        ...     print(tuple(items.shape), len(labels))
        (2, 3) 2
        (2, 3) 2
        (1, 3) 1
    """

    def take(self) -> Taken | None:
        """The next sample. It waits for one if need be.

        Returns:
            The items, (B, *item_shape), float32, and their labels: classes, (B,), int64, or numbers to be predicted,
            (B, numbers), float32. Without labels (None), which only a schedule that adapts allows, they are predicted
            and not learnt from. Or None if there are no more samples.
        """

    def waiting(self) -> bool:
        """Whether a sample waits to be taken. A schedule that adapts asks this while others are in flight."""

    def ahead(self) -> None:
        """Called once the sample is on its way, when there is time to prepare the next one."""

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Gets a sample's output, and returns when the sample's labels may be used.

        Args:
            step: The sample's number.
            output: (B, classes), float32.
            there: When the output arrived, in seconds of this host's monotonic clock.
        """

    def predicted(self, output: Tensor, there: float) -> None:
        """Gets the output of a sample without labels, in the order in which they were taken. Arguments as above."""


class Labelled:
    """What sources share whose samples all have labels."""

    def predicted(self, output: Tensor, there: float) -> None:
        """Never called."""
        raise AssertionError("all samples of this source have labels")


class Prepared(Labelled):
    """Mini-batches of an iterator, which is asked for the next one as soon as a mini-batch is on its way.

    Args:
        samples: Makes the mini-batches.
    """

    def __init__(self, samples: Iterator[Sample]) -> None:
        self._samples = samples
        self._next = next(self._samples, None)

    def take(self) -> Sample | None:
        return self._next

    def waiting(self) -> bool:
        return True  # stored items always do; after the last one, `take` says so

    def ahead(self) -> None:
        self._next = next(self._samples, None)

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Does nothing, since all labels are known."""


class Stored(Prepared):
    """Mini-batches of items in memory.

    Args:
        x: The items, (N, *item_shape), float32.
        y: The labels, (N,), int64; or (N, numbers), float32.
        order: The order of the items, int64.
        batch_size: How many items a mini-batch has; the last one may have fewer.
    """

    def __init__(self, x: Tensor, y: Tensor, order: Tensor, batch_size: int) -> None:
        super().__init__(batches(x, y, order, batch_size))


def shuffled(items: int, seed: int, epoch: int) -> Tensor:
    """A random order of the items for `epoch`, drawn from (seed, "shuffle", epoch): (items,), int64."""
    return torch.randperm(items, generator=generator(seed, "shuffle", epoch))


def batches(x: Tensor, y: Tensor, order: Tensor, batch_size: int) -> Iterator[Sample]:
    """Mini-batches of `x` and `y` in this order, `batch_size` items at a time."""
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        yield x.index_select(0, chosen), y[chosen]  # copies, whose alignment in memory is always the same
