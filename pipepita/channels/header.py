"""The wire format: one fixed header a message, then (TCP) the tensor's bytes.

    magic  kind  dims  slot  step  shape[6]        little-endian, 64 bytes
    4s     B     B     H     q     6Q

Checked before anything is allocated or read on its account.
"""

from __future__ import annotations

import math
import struct

from pipepita.channels.channel import KINDS
from pipepita.errors import ChannelClosed

_FORMAT = struct.Struct("<4sBBHq6Q")
SIZE = _FORMAT.size
MAX_DIMS = 6
_MAGIC = b"PPT1"
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_PADDING = [(0,) * (MAX_DIMS - dims) for dims in range(MAX_DIMS + 1)]
FLOAT_BYTES = 4


def pack(kind: str, step: int, shape: tuple[int, ...] | None, slot: int = 0) -> bytes:
    """The header of one message; `shape` is None where no tensor goes with it."""
    if shape is None:
        return _FORMAT.pack(_MAGIC, _NUMBERS[kind], 255, slot, step, *_PADDING[0])
    return _FORMAT.pack(_MAGIC, _NUMBERS[kind], len(shape), slot, step, *shape, *_PADDING[len(shape)])


def unpack(data: bytes | bytearray, slots: int, slot_bytes: int) -> tuple[str, int, tuple[int, ...] | None, int]:
    """(kind, step, shape or None, slot); `ChannelClosed` for a header that no peer of ours would send."""
    if len(data) != SIZE:
        raise ChannelClosed(f"a header of {len(data)} bytes arrived instead of {SIZE}")
    magic, kind, dims, slot, step, *sizes = _FORMAT.unpack(data)
    if magic != _MAGIC or kind >= len(KINDS) or slot >= slots or step < 0:
        raise ChannelClosed("a header arrived that is not pipepita's")
    if dims == 255:
        return KINDS[kind], step, None, slot
    shape = tuple(sizes[:dims]) if dims <= MAX_DIMS else ()
    if dims > MAX_DIMS or math.prod(shape) * FLOAT_BYTES > slot_bytes:
        raise ChannelClosed(f"a tensor of {dims} dimensions {shape} arrived where {slot_bytes} bytes are the most")
    return KINDS[kind], step, shape, slot
