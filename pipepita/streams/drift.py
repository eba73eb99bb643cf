"""Drifts by name, their text form, and the stream in which they happen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from pipepita.errors import UserError, unknown
from pipepita.streams.change import Drift
from pipepita.streams.inputs import Noise, Permute, Rotate
from pipepita.streams.labels import Classes, Remap
from pipepita.streams.stream import Stream

DRIFTS: dict[str, type[Drift]] = {
    "classes": Classes,
    "noise": Noise,
    "permute": Permute,
    "remap": Remap,
    "rotate": Rotate,
}

_WHEN = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?")


def parse(text: str) -> list[Drift]:
    """The drifts of a text, separated by commas: KIND[:ARGUMENT]@START, or @START-END for a gradual one.

        remap@5000 | remap:3-5@5000 | rotate:90@5000-7000 | noise:0.5@2000 | permute@4000 | classes:2@3000

    START is the index of the first item that changes, from 0. For `classes` it is the number of items of each group.

    Raises:
        UserError: The kind is unknown, or the text cannot be read.

    Example:
        >>> parse("noise:0.5@2000-4000")
        [Noise(start=2000, end=4000, std=0.5)]
    """
    if not isinstance(text, str):
        raise UserError(f"drifts are written as a string, not {text!r}")
    return [_drift(part.strip()) for part in text.split(",")]


def drifted(stream: Stream, drifts: str | Iterable[Drift], *, seed: int = 0) -> Stream:
    """`stream` with drifts in it.

    Args:
        stream: The stream to change.
        drifts: What `parse` reads, or drifts. They are applied in their order, except that classes that come in groups
            are chosen first. All indices count the items that come out.
        seed: Decides what is drawn.

    Returns:
        The changed stream. Its length is not known if classes come in groups, which skips items.

    Raises:
        UserError: A drift cannot be read, or does not fit the stream.

    Example:
        >>> from pipepita.streams import as_stream
        >>> stream = drifted(as_stream([([0.5], 0), ([0.5], 1), ([0.5], 1)]), "remap:0-1@2")
        >>> [y for x, y in stream], stream.marks
        ([0, 1, 0], [(2, 'remap:0-1')])
    """
    wanted = parse(drifts) if isinstance(drifts, str) else list(drifts)
    if sum(drift.selects for drift in wanted) > 1:
        raise UserError("drift classes is given twice: classes can come in groups of one size only")
    for place, drift in sorted(enumerate(wanted), key=lambda pair: not pair[1].selects):
        drift.check(stream)
        stream = _with(stream, drift, seed, place)
    return stream


def _with(stream: Stream, drift: Drift, seed: int, place: int) -> Stream:
    length = None if drift.selects else stream.length
    marks = [(index, label) for index, label in drift.marks(stream) if length is None or index < length]
    return replace(
        stream, start=lambda: drift.run(stream, seed, place), marks=sorted(stream.marks + marks), length=length
    )


def _drift(text: str) -> Drift:
    what, _, when = text.partition("@")
    name, colon, argument = what.partition(":")
    if name not in DRIFTS:
        raise unknown("drift", name, DRIFTS)
    kind, times = DRIFTS[name], _WHEN.fullmatch(when)
    try:
        if times is None or (colon and not argument):
            raise ValueError
        start, end = times.groups()
        return kind.read(argument, int(start), int(end) if end else None)
    except (ValueError, UserError):
        raise UserError(f"drift {text!r} cannot be read: write it like {kind.example}") from None
