"""What one line of input says: an item, its label, or both.

{"x": [0.5, 1.25], "y": 3}              an item and its label
{"id": 7, "x": [0.5, 1.25]}             an item whose label comes later ...
{"id": 7, "y": 3}                       ... like this
0.5,1.25,3                              the first, as CSV: the features, and then the label
0.5,1.25                                an item without a label, as CSV

If numbers are predicted, y is a number, or a list of as many as there are; in CSV they are the last cells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
import torch
from torch import Tensor

from pipepita.errors import UserError
from pipepita.streams.items import Label, Labels, Numbers

Id = str | int

_WHOLE = re.compile(r"-?\d{1,18}")  # a label that is a number in CSV


class Refused(Exception):
    """A line that says nothing that can be used.

    Attributes:
        kind: What is wrong, in a few words that are the same for all such lines.
    """

    def __init__(self, kind: str, more: str = "") -> None:
        super().__init__(f"{kind}{more}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Given:
    """What has been given.

    Attributes:
        id: What the source calls the item; None if it does not.
        x: The item, float32 of the network's input shape; None if this is only a label.
        y: Its class, or the numbers that are to be predicted; None if it is not known yet.
        at: When it arrived, in seconds of this host's monotonic clock.
        number: Of its line in the journal, or of the item in its stream; -1 if it has none.
    """

    id: Id | None
    x: Tensor | None
    y: Label | None
    at: float = 0.0
    number: int = -1


class Line(NamedTuple):
    """A line that nobody has read yet.

    Attributes:
        text: What it holds, without its end.
        place: Which line of the source it is, from 1.
        at: When it arrived, in seconds of this host's monotonic clock.
        number: Of the line in the journal.
    """

    text: bytes
    place: int
    at: float
    number: int


class Parser:
    """Reads lines.

    Args:
        shape: The shape of an item.
        classes: How many classes there are. Labels are their numbers, from 0, or strings, which are numbered in the
            order in which they come. Or how many numbers are predicted.
        names: Strings that are numbered already.
        regression: Whether numbers are predicted.

    Example:
        >>> parser = Parser((2,), classes=10)
        >>> parser.read(b'{"id": 7, "x": [0.5, 1.25], "y": 3}', at=0.0)
        Given(id=7, x=tensor([0.5000, 1.2500]), y=3, at=0.0, number=-1)
        >>> parser.read(b"0.5,1.25", at=0.0).y is None
        True
    """

    def __init__(
        self, shape: tuple[int, ...], classes: int, names: Sequence[str] = (), *, regression: bool = False
    ) -> None:
        self._shape, self._features = shape, math.prod(shape)
        self._labels = Numbers(classes) if regression else Labels(classes, names)
        self._label_cells = classes if regression else 1

    def names(self) -> list[str]:
        """The labels that are texts, so far, in the order of their classes."""
        return list(self._labels.names)

    def read(self, line: bytes, at: float) -> Given:
        """What `line` says. Raises `Refused` if it says nothing that can be used."""
        if line.lstrip()[:1] == b"{":
            return self._json(line, at)
        return self._csv(line, at)

    def _json(self, line: bytes, at: float) -> Given:
        try:
            fields = orjson.loads(line)
        except ValueError:
            raise Refused("not a line of JSON") from None
        unknown = fields.keys() - {"id", "x", "y"}
        if unknown:
            raise Refused("unknown field", f" {min(unknown)!r}: an item has id, x and y")
        name, x, y = fields.get("id"), fields.get("x"), fields.get("y")
        if name is not None and (isinstance(name, bool) or not isinstance(name, int | str)):
            raise Refused("the id is no number and no text")
        if x is None and (name is None or y is None):
            raise Refused("neither an item nor a label", ": an item has x, a late label has id and y")
        return Given(name, None if x is None else self.item(x), None if y is None else self.label(y), at)

    def _csv(self, line: bytes, at: float) -> Given:
        try:
            cells = line.decode().strip().split(",")
        except UnicodeDecodeError:
            raise Refused("not text") from None
        features, more = self._features, self._label_cells
        if len(cells) not in (features, features + more):
            what = "the wrong number of cells" if len(cells) > 1 else "neither JSON nor cells of CSV"
            raise Refused(what, f": {len(cells)} instead of {features}, or {more} more" if len(cells) > 1 else "")
        cells, last = cells[:features], [cell.strip() for cell in cells[features:]]
        label = self.label(self._read(last)) if any(last) else None
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            raise Refused("a cell is no number") from None
        return Given(None, self.item(numbers), label, at)

    def _read(self, cells: list[str]) -> Any:
        """The label that is written in the last cells."""
        if isinstance(self._labels, Labels):
            return int(cells[0]) if _WHOLE.fullmatch(cells[0]) else cells[0]
        try:
            return [float(cell) for cell in cells]
        except ValueError:
            raise Refused("a cell is no number") from None

    def item(self, x: Any) -> Tensor:
        """Numbers, nested or not, as an item. Raises `Refused` if they cannot be one."""
        try:
            numbers = np.array(x)
        except ValueError:
            raise Refused("x is ragged") from None
        if numbers.dtype.kind not in "fiub":
            raise Refused("x holds something that is no number")
        if numbers.size != self._features:
            raise Refused("x has the wrong size", f": {numbers.size} numbers instead of {self._features}")
        with np.errstate(over="ignore"):
            numbers = numbers.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise Refused("x holds a number that is not finite")
        return torch.from_numpy(numbers).view(self._shape)

    def label(self, y: Any) -> Label:
        """A label as a class, or as numbers. Raises `Refused` if it cannot be one."""
        try:
            return self._labels.read(y, "y")
        except UserError as error:
            raise Refused("the label is out of range, or no label", f": {error}") from None
