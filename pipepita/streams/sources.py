"""Streams by name: the items of a data set, or what river generates or holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from pipepita.data import Data, load
from pipepita.data.sets import SETS
from pipepita.errors import UserError, unknown
from pipepita.randomness import generator
from pipepita.streams.change import Drift
from pipepita.streams.drift import drifted
from pipepita.streams.items import Item
from pipepita.streams.river_source import river_stream
from pipepita.streams.stream import Stream


def open_stream(
    text: str,
    *,
    drift: str | Iterable[Drift] | None = None,
    seed: int = 0,
    length: int | None = None,
    data_dir: str | Path | None = None,
    download: bool = False,
    held_out: bool = False,
) -> Stream:
    """The stream called `text`: a data set that `pipepita.load` knows, or `river:NAME`, `river:NAME(OPTION=VALUE,...)`.

    Of a data set come the training items in an order drawn by `seed`; if `length` is larger, they come again in another
    order. Of river come generators (which get the seed) and data sets, as vectors, each feature standardised by river's
    StandardScaler over the items so far.

    Args:
        text: The stream's name.
        drift: What changes on the way: a text as in `drift.parse`, or drifts.
        seed: Decides the order, what river generates, and the drifts.
        length: How many items. By default a data set comes once, and a generator without end.
        data_dir: As in `pipepita.load`. For river's data sets, river's own folder by default.
        download: Whether a missing data set is fetched.
        held_out: Whether to give other items, with the same drifts: the test items of a data set, or what a generator
            of river makes of another seed.

    Returns:
        The stream: float32 items and their classes, or the numbers that are to be predicted; the same ones each time it
        is gone through.

    Raises:
        UserError: The name is unknown, the data are missing or have no test items, a drift does not fit, or there are
            fewer items than `length`.
        RunError: A file could not be downloaded.

    Example:
        >>> stream = open_stream("digits", drift="remap@100", length=200)
        >>> stream.item_shape, stream.classes, stream.marks
        ((1, 8, 8), 10, [(100, 'remap')])
    """
    stream, once = whole_stream(text, seed=seed, data_dir=data_dir, download=download, held_out=held_out)
    length = once if length is None else length
    if drift:
        stream = drifted(stream, drift, seed=seed)
    return stream if length is None else stream.first(length)


def whole_stream(
    text: str, *, seed: int = 0, data_dir: str | Path | None = None, download: bool = False, held_out: bool = False
) -> tuple[Stream, int | None]:
    """The stream without drifts and, if it can have none, without an end; and how many items a data set has.

    The arguments and errors are those of `open_stream`.
    """
    if not isinstance(text, str):
        raise UserError(f"a stream is named by a string, not {text!r}")
    kind, _, rest = text.partition(":")
    if kind == "river":
        stream = river_stream(rest, seed=seed + held_out, data_dir=data_dir, download=download)
        if held_out and stream.length is not None:
            raise UserError(f"{text} has no test items: take a data set that has some, or one of river's generators")
        return stream, None
    if kind in SETS or (kind in ("npz", "random") and rest):
        data = load(text, data_dir=data_dir, download=download)
        return data_stream(data, seed, held_out), len(data.x_train)
    raise unknown("stream", text, [*SETS, "npz:FILE", "random:SHAPE", "river:NAME"])


def data_stream(data: Data, seed: int = 0, held_out: bool = False) -> Stream:
    """The training items of `data`, again and again, each time in another order drawn by `seed`. Their x is a view.

    held_out: the test items instead.
    """

    def start() -> Iterator[Item]:
        x, y = (data.x_test, data.y_test.tolist()) if held_out else (data.x_train, data.y_train.tolist())
        y = [tuple(numbers) for numbers in y] if data.regression else y
        for lap in itertools.count():
            for index in torch.randperm(len(y), generator=generator(seed, "stream order", lap)).tolist():
                yield x[index], y[index]

    return Stream(data.name, data.item_shape, data.classes, start, regression=data.regression)
