"""Streams by name: the items of a data set, or what river makes or holds."""

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
) -> Stream:
    """The stream called `text`: a data set that `pipepita.load` knows, or `river:NAME`, `river:NAME(OPTION=VALUE,...)`.

    Of a data set come the training items in an order drawn by `seed`; where the length wants more, again in another.
    Of river come its generators (the seed goes to them) and data sets, as vectors, each feature standardised by
    river's StandardScaler over the items so far. drift: as in `drift.parse`. length: how many items; by default all of
    a data set, once, and without end what has none. data_dir, download: as in `pipepita.load`; of river's data sets,
    the folder is by default river's own. Raises `UserError` for what is unknown, missing or too short.
    """
    if not isinstance(text, str):
        raise UserError(f"a stream is named by a string, not {text!r}")
    kind, _, rest = text.partition(":")
    if kind == "river":
        stream = river_stream(rest, seed=seed, data_dir=data_dir, download=download)
    elif kind in SETS or (kind in ("npz", "random") and rest):
        data = load(text, data_dir=data_dir, download=download)
        stream, length = data_stream(data, seed=seed), len(data.x_train) if length is None else length
    else:
        raise unknown("stream", text, [*SETS, "npz:FILE", "random:SHAPE", "river:NAME"])
    if drift:
        stream = drifted(stream, drift, seed=seed)
    return stream if length is None else stream.first(length)


def data_stream(data: Data, *, seed: int = 0) -> Stream:
    """The training items of `data` without end, each pass in another order drawn by `seed`. Their x is a view."""

    def start() -> Iterator[Item]:
        x, y = data.x_train, data.y_train.tolist()
        for lap in itertools.count():
            for index in torch.randperm(len(y), generator=generator(seed, "stream order", lap)).tolist():
                yield x[index], y[index]

    return Stream(data.name, data.item_shape, data.classes, start)
