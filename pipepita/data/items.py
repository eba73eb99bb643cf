"""How a run gets at its items. There are two ways: `memory.InMemory` and `loaded.Loaded`. No run knows which it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor

from pipepita.data.agenda import Agenda
from pipepita.pipeline.source import Sample, Source


class Items(Protocol):
    """Training and test items.

    Attributes:
        item_shape: The shape of one.
        classes: How many classes there are; or how many numbers each item is labelled with.
        regression: Whether labels are numbers to be predicted.
        train_items: How many training items there are.
        test_items: How many test items there are.

    Example:
        >>> import pipepita as pp
        >>> items = pp.load("digits").items
        >>> agenda = Agenda(items.train_items, items.test_items, batch_size=64, seed=0)
        >>> x, y = items.train(agenda, epoch=1).take()
        >>> x.shape, y.shape
        (torch.Size([64, 1, 8, 8]), torch.Size([64]))
    """

    item_shape: tuple[int, ...]
    classes: int
    regression: bool
    train_items: int
    test_items: int

    def open(self, workers: int | None, batch_size: int) -> AbstractContextManager[Items]:
        """The same items, which may be read ahead of need while the context lasts.

        Args:
            workers: How many processes read them; 0 for none but this one, None for what suits the items.
            batch_size: How many items are read together at most.
        """

    def expect(self, agenda: Agenda, epoch: int, first: int = 0) -> None:
        """Says that this sample will be asked for next, so that it can be read meanwhile."""

    def train(self, agenda: Agenda, epoch: int, first: int = 0, last: int | None = None) -> Source:
        """The samples of an epoch.

        Args:
            agenda: Their order.
            epoch: From 1.
            first: The first sample, counted from 0.
            last: The sample before which to stop; None for the end of the epoch.
        """

    def test(self, agenda: Agenda, epoch: int) -> Iterator[Sample]:
        """All test items after an epoch, in their own order, in samples as large as in training."""

    def blocks(self) -> Iterator[Tensor]:
        """All training items in their own order and unchanged, a few at a time: (BLOCK, *item_shape), float32."""

    def some(self, count: int) -> Sample:
        """The first `count` training items, unchanged."""

    def only(self, chosen: Tensor, tested: Tensor | None = None) -> Items:
        """The same with only these training items, by their indices.

        Args:
            chosen: The training items that are left.
            tested: Training items that take the place of the test items; None for the test items as they are.
        """

    def fingerprint(self) -> str:
        """A SHA-256 digest that tells data sets apart."""
