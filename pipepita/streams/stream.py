"""A stream of items and labels, and how any iterable of (x, y) becomes one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pipepita.errors import UserError
from pipepita.streams.items import Item, Labels, Numbers, integer, pair, vector

REGRESSION = "Regression"  # river's name of the task


@dataclass(frozen=True)
class Stream:
    """Items in the order in which they come. It can be gone through as often as wanted.

    Attributes:
        name: What messages call it.
        item_shape: The shape of each x.
        classes: How many classes there are; or how many numbers are to be predicted of each item.
        start: Gives the items from the first on, the same ones at each call: x, float32 of `item_shape`, which must not
            be written to (it may be a view of a data set), and y, an int from 0 to classes - 1, or a tuple of floats.
        marks: For plots: (index of its first item, label) of each drift.
        length: How many items there are at most; None if that is not known, or if there is no end.
        regression: Whether labels are numbers instead of classes.

    Example:
        >>> stream = as_stream([([0.5, 1.0], 0), ([0.25, 0.0], 1)])
        >>> [(x.tolist(), y) for x, y in stream]
        [([0.5, 1.0], 0), ([0.25, 0.0], 1)]
    """

    name: str
    item_shape: tuple[int, ...]
    classes: int
    start: Callable[[], Iterator[Item]] = field(repr=False)
    marks: list[tuple[int, str]] = field(default_factory=list)
    length: int | None = None
    regression: bool = False

    def __iter__(self) -> Iterator[Item]:
        return self.start()

    def first(self, items: int) -> Stream:
        """The same stream, ending after `items` items; `UserError` for none, or more than the stream holds."""
        if isinstance(items, bool) or not isinstance(items, int) or items < 1:
            raise UserError(f"{self.name}: length is {items!r}: it must be a whole number, at least 1")
        if self.length is not None and items > self.length:
            raise UserError(f"{self.name} holds {self.length} items: {items} were asked for")
        marks = [(index, label) for index, label in self.marks if index < items]
        return replace(self, start=lambda: itertools.islice(self.start(), items), marks=marks, length=items)


def as_stream(
    source: Iterable[Any], *, classes: int | None = None, regression: bool | None = None, name: str = "stream"
) -> Stream:
    """The stream of an iterable of (x, y), each item checked as it comes.

    Args:
        source: Pairs (x, y). x is a tensor, an array or a sequence of numbers; or a river dict of features, which
            becomes a vector in the order of the first item's keys, and whose texts must read as numbers. uint8 is
            divided by 255, as in `pipepita.Data`. y is an int or a bool; or a string, and strings are numbered from 0
            in the order in which they come. Or y is a float, or a sequence of them: numbers that are to be predicted. A
            generator can be gone through only once.
        classes: How many classes there are. It need not be given for a list or tuple, whose classes are counted, and
            for a river data set, which knows. Of numbers, it is how many each item has (by default those of the first).
        regression: Whether labels are numbers that are to be predicted. By default a river data set says so; otherwise
            they are if the first one is a float, or several.
        name: What messages call the stream.

    Returns:
        The stream; `source` itself if it is one.

    Raises:
        UserError: `source` is no iterable or is empty, or how many classes there are is neither given nor known. While
            the stream is gone through: an item is no pair, is not finite, has another shape or other features than the
            first one, or has a label that is out of range (the message names the item's index); or a generator is to
            be gone through again.

    Example:
        >>> stream = as_stream([({"a": 1, "b": True}, "yes"), ({"b": False, "a": 0.5}, "no")])
        >>> stream.classes, [(x.tolist(), y) for x, y in stream]
        (2, [([1.0, 1.0], 0), ([0.5, 0.0], 1)])
    """
    if isinstance(source, Stream):
        return source
    try:
        once = iter(source) is source
    except TypeError:
        raise UserError(f"{name}: a stream is made of an iterable of (x, y), not of {type(source).__name__}") from None
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int) or classes < 1):
        raise UserError(f"{name}: classes is {classes!r}: it must be a whole number, at least 2")
    items = iter(source)
    peeked = list(itertools.islice(items, 1))
    if not peeked:
        raise UserError(f"{name} holds no items")
    x, y = pair(peeked[0], f"{name}[0]")
    if regression is None:
        regression = _numbers(source, y)
    if classes is None:
        classes = np.asarray(y).size if regression else _count(source, name)
    if classes < 2 and not regression:
        raise UserError(f"{name}: classes is {classes!r}: it must be a whole number, at least 2")
    keys = list(x) if isinstance(x, Mapping) else None
    shape = tuple(vector(x, keys, f"{name}[0]").shape)
    begin = _only_once(itertools.chain(peeked, items), name) if once else lambda: iter(source)

    def checked(items: Iterable[Any]) -> Iterator[Item]:
        labels = Numbers(classes) if regression else Labels(classes)
        for index, item in enumerate(items):
            where = f"{name}[{index}]"
            x, y = pair(item, where)
            numbers = vector(x, keys, where)
            if numbers.shape != shape:
                raise UserError(f"{where} has shape {tuple(numbers.shape)}: the first item has {shape}")
            yield numbers, labels.read(y, where)

    length = len(source) if isinstance(source, list | tuple) else None
    return Stream(name, shape, classes, lambda: checked(begin()), length=length, regression=regression)


def _numbers(source: Iterable[Any], y: Any) -> bool:
    """Whether the labels of `source`, of which `y` is the first one, are numbers that are to be predicted."""
    if isinstance(task := getattr(source, "task", None), str):
        return task == REGRESSION
    try:
        values = np.asarray(y)
    except (TypeError, ValueError, RuntimeError):
        return False
    return values.dtype.kind == "f" or (values.ndim > 0 and values.dtype.kind in "iub")


def _count(source: Iterable[Any], name: str) -> int:
    """How many classes `source` has; `UserError` if that cannot be known before it is gone through."""
    if isinstance(task := getattr(source, "task", None), str):  # a river data set; some binary ones do not say how many
        if task == "Binary classification":
            return 2
        if isinstance(count := getattr(source, "n_classes", None), int):
            return count
    if isinstance(source, list | tuple):
        where = [f"{name}[{index}]" for index in range(len(source))]
        labels = [pair(item, place)[1] for item, place in zip(source, where, strict=True)]
        if any(isinstance(y, str) for y in labels):
            return max(2, len(set(labels)))
        return max(2, 1 + max((integer(y, place) for y, place in zip(labels, where, strict=True)), default=0))
    raise UserError(f"{name}: how many classes there are cannot be known beforehand: give classes=...")


def _only_once(items: Iterator[Any], name: str) -> Callable[[], Iterator[Any]]:
    left = [items]

    def begin() -> Iterator[Any]:
        if not left:
            raise UserError(f"{name} comes from a generator: it can be gone through once")
        return left.pop()

    return begin
