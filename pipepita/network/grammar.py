"""Reads spec strings such as `conv:32,5/pool:2/fc:256x2` and `(conv:64,3,1,1/norm:batch)x2/pool:2`, and named networks.

network   part/part/...        or a name, alone or as a part: vgg8b, vgg11b, paper-fc, paper-conv
part      kind[:argument,...][xR]        R of them, one after the other
          (part/part/...)[xR]            R of the group
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pipepita.errors import UserError

# Nokland & Eidnes 2019 (github.com/anokland/local-loss), and Dellaferrera & Kreiman 2022, Appendix A
NAMED = {
    "vgg8b": "(conv:128,3,1,1/norm:batch)/(conv:256,3,1,1/norm:batch)/pool:2/(conv:256,3,1,1/norm:batch)/"
    "(conv:512,3,1,1/norm:batch)/pool:2/(conv:512,3,1,1/norm:batch)/pool:2/(conv:512,3,1,1/norm:batch)/pool:2/"
    "fc:1024/norm:batch",
    "vgg11b": "(conv:128,3,1,1/norm:batch)x3/(conv:256,3,1,1/norm:batch)/pool:2/(conv:256,3,1,1/norm:batch)/"
    "(conv:512,3,1,1/norm:batch)/pool:2/(conv:512,3,1,1/norm:batch)x2/pool:2/(conv:512,3,1,1/norm:batch)/pool:2/"
    "fc:1024/norm:batch",
    "paper-fc": "fc:1024",
    "paper-conv": "conv:32,5/pool:2",
}
_MOST_PARTS, _MOST_CHARACTERS, _DEEPEST = 10_000, 100_000, 20
_PART = re.compile(r"(?P<kind>[a-z]+)(:(?P<arguments>[a-z0-9.,]+?))?(x(?P<repeat>[0-9]{1,9}))?", re.ASCII)


class Part(NamedTuple):
    """One part of a network.

    Attributes:
        kind: What it is, like "conv".
        arguments: What follows the colon, like ("32", "5"); ("",) if there is no colon.
        text: As it was written, for errors.
    """

    kind: str
    arguments: tuple[str, ...]
    text: str


def parse(spec: str) -> list[Part]:
    """The parts of a network in order, with repeats written out.

    Args:
        spec: A spec string or the name of a network.

    Returns:
        The parts.

    Raises:
        UserError: It cannot be read.

    Example:
        >>> [part.text for part in parse("(conv:8,3/norm:batch)x2/fc:10")]
        ['conv:8,3', 'norm:batch', 'conv:8,3', 'norm:batch', 'fc:10']
    """
    if len(spec) > _MOST_CHARACTERS:
        raise UserError(f"network: a text of {len(spec)} characters; at most {_MOST_CHARACTERS}")
    return _parts(spec, spec, 0)


def _parts(text: str, spec: str, depth: int) -> list[Part]:
    if depth > _DEEPEST:
        raise UserError(f"network: more than {_DEEPEST} brackets within each other")
    parts: list[Part] = []
    for piece in _split(text, spec):
        repeat = 1
        if piece.startswith("("):
            inner, _, count = piece[1:].rpartition(")")
            if count and not re.fullmatch(r"x[0-9]{1,9}", count):
                raise UserError(
                    f"network {spec!r}: {piece!r} goes on after its bracket; write it like (conv:64,3/norm:batch)x2"
                )
            repeat, new = int(count[1:] or 1), _parts(inner, spec, depth + 1)
        elif piece in NAMED:
            new = _parts(NAMED[piece], spec, depth + 1)
        else:
            match = _PART.fullmatch(piece)
            if match is None:
                raise UserError(
                    f"network {spec!r}: cannot read {piece!r}; write it like fc:1024, fc:256x8 or conv:32,5/pool:2, or "
                    f"name one of {', '.join(NAMED)}"
                )
            repeat = int(match["repeat"] or 1)
            new = [Part(match["kind"], tuple((match["arguments"] or "").split(",")), piece)]
        if repeat < 1:
            raise UserError(f"network {spec!r}: {piece!r} has a number below 1")
        if len(parts) + repeat * len(new) > _MOST_PARTS:
            raise UserError(f"network {spec!r}: {piece!r} makes more than {_MOST_PARTS} parts")
        parts += new * repeat
    return parts


def _split(text: str, spec: str) -> list[str]:
    """`text` at its slashes outside brackets, without the spaces around them."""
    pieces, depth, begin = [], 0, 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
        if character == "/" and depth == 0:
            pieces.append(text[begin:place].strip())
            begin = place + 1
    if depth:
        raise UserError(f"network {spec!r}: its brackets do not match")
    return [*pieces, text[begin:].strip()]
