"""Items that are read as they are needed, and never held in memory as a whole."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, Subset

from pipepita.data.agenda import Agenda, Blocks, Request
from pipepita.data.reader import Reader, Unreadable
from pipepita.errors import RunError, UserError
from pipepita.network.standardize import BLOCK
from pipepita.pipeline.source import Labelled, Sample, Source

_FINGERPRINT_ITEMS = 64
# From so many numbers in all training items on, reading an epoch takes longer than starting workers, some seconds
_MANY_NUMBERS = 1 << 23
_USUAL_WORKERS = 2


class Feed(Protocol):
    """Gives the samples of an agenda, by their positions."""

    def ahead(self, agenda: Agenda | Blocks, position: int) -> None:
        """This position will be asked for next: there is time to prepare it. Does not wait."""

    def sample(self, agenda: Agenda | Blocks, position: int) -> Sample:
        """The sample at this position; `RunError` if an item is wrong."""


class Here:
    """A feed that reads in this process: the next sample while the last one is on its way."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: tuple[Agenda | Blocks, int, Sample] | None = None

    def ahead(self, agenda: Agenda | Blocks, position: int) -> None:
        if position < len(agenda):
            self._kept = agenda, position, self._read(agenda.request(position))

    def sample(self, agenda: Agenda | Blocks, position: int) -> Sample:
        kept, self._kept = self._kept, None
        if kept is not None and kept[:2] == (agenda, position):
            return kept[2]
        return self._read(agenda.request(position))

    def _read(self, request: Request) -> Sample:
        try:
            x, labels = self._reader.read(request)
        except Unreadable as error:
            raise RunError(str(error)) from None
        return x, torch.tensor(labels)


class Loaded:
    """`Items` of two map-style data sets. feed: by default they are read in this process."""

    def __init__(self, reader: Reader, feed: Feed | None = None) -> None:
        assert reader.item_shape is not None
        self._reader, self._feed = reader, feed or Here(reader)
        self.item_shape, self.classes, self.regression = reader.item_shape, reader.classes, False
        self.train_items, self.test_items = len(reader.train), len(reader.test)

    @classmethod
    def of(cls, train: Any, test: Any, classes: int | None, name: str) -> Loaded:
        """Of the arguments of `Data.of`; `UserError` if they are wrong."""
        for part, items in (("train", train), ("test", test)):
            _check(items, f"{name}: {part}")
        if classes is None:
            classes = len(getattr(train, "classes", ()))
            if not classes:
                raise UserError(f"{name}: say how many classes there are, classes=...: train has no list `classes`")
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
            raise UserError(f"{name}: classes is {classes!r}: it must be a whole number of at least 2")
        try:
            x, _ = Reader(train, test, name).read(Request(False, [0]))
            reader = Reader(train, test, name, tuple(x.shape[1:]), classes)
            for is_test in (False, True):
                reader.read(Request(is_test, [0]))
        except Unreadable as error:
            raise UserError(str(error)) from None
        return cls(reader)

    @contextmanager
    def open(self, workers: int | None, batch_size: int) -> Iterator[Loaded]:
        if workers is None:
            workers = _USUAL_WORKERS if self.train_items * math.prod(self.item_shape) >= _MANY_NUMBERS else 0
        if not workers:
            yield self
            return
        from pipepita.data.workers import Workers

        feed = Workers(self._reader, workers, max(batch_size, BLOCK))
        try:
            yield Loaded(self._reader, feed)
        finally:
            feed.close()

    def expect(self, agenda: Agenda, epoch: int, first: int = 0) -> None:
        self._feed.ahead(agenda, agenda.place(epoch, first))

    def train(self, agenda: Agenda, epoch: int, first: int = 0, last: int | None = None) -> Source:
        last = agenda.samples if last is None else last
        return _Samples(self._feed, agenda, range(agenda.place(epoch, first), agenda.place(epoch, last)))

    def test(self, agenda: Agenda, epoch: int) -> Iterator[Sample]:
        return (self._feed.sample(agenda, position) for position in agenda.tests(epoch))

    def blocks(self) -> Iterator[Tensor]:
        blocks = Blocks(self.train_items, BLOCK)
        return (self._feed.sample(blocks, position)[0] for position in range(len(blocks)))

    def some(self, count: int) -> Sample:
        return self._read(Request(False, [*range(min(count, self.train_items))]))

    def only(self, chosen: Tensor, tested: Tensor | None = None) -> Loaded:
        train = self._reader.train
        test = self._reader.test if tested is None else Subset(train, tested.tolist())
        return Loaded(replace(self._reader, train=Subset(train, chosen.tolist()), test=test))

    def fingerprint(self) -> str:
        """Of the shapes, and of some items with their labels: to look at all of them would take an epoch's time."""
        sizes = self.train_items, self.test_items
        digest = hashlib.sha256(repr((sizes, self.item_shape, self.classes)).encode())
        for is_test, size in zip((False, True), sizes, strict=True):
            for index in range(0, size, -(-size // _FINGERPRINT_ITEMS)):
                x, y = self._read(Request(is_test, [index]))
                digest.update(y.numpy().tobytes() + x.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _read(self, request: Request) -> Sample:
        """Reads a sample here, before a run; `UserError` if an item is wrong."""
        try:
            x, labels = self._reader.read(request)
        except Unreadable as error:
            raise UserError(str(error)) from None
        return x, torch.tensor(labels)


class _Samples(Labelled):
    """A source of the samples at these positions of an agenda."""

    def __init__(self, feed: Feed, agenda: Agenda, positions: range) -> None:
        self._feed, self._agenda = feed, agenda
        self._next, self._end = positions.start, positions.stop

    def take(self) -> Sample | None:
        if self._next == self._end:
            return None
        sample = self._feed.sample(self._agenda, self._next)
        self._next += 1
        return sample

    def waiting(self) -> bool:
        return True  # it would be read now, if no worker has read it

    def ahead(self) -> None:
        self._feed.ahead(self._agenda, self._next)

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Does nothing, since all labels are known."""


def _check(items: object, where: str) -> None:
    """`UserError` if `items` is no map-style data set with items."""
    if isinstance(items, IterableDataset) or not (hasattr(items, "__getitem__") and hasattr(items, "__len__")):
        raise UserError(
            f"{where} is {type(items).__name__}: it must be a map-style data set, with len(...) and [index]"
        )
    try:
        count = len(items)
    except Exception as error:
        raise UserError(f"{where}: its length is not known: {type(error).__name__}: {error}") from None
    if count < 1:
        raise UserError(f"{where} is empty")
