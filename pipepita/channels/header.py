"""The wire format: one fixed header a message, then (TCP) the tensor's bytes.

    magic  kind  dims  slot  step  sent  shape[6]        little-endian, 72 bytes
    4s     B     B     H     q     q     6Q

Checked before anything is allocated or read on its account.
"""

from __future__ import annotations

import math
import struct
import time
from typing import NamedTuple

from pipepita.channels.channel import KINDS
from pipepita.errors import ChannelClosed

_FORMAT = struct.Struct("<4sBBH2q6Q")
SIZE = _FORMAT.size
MAX_DIMS = 6
_MAGIC = b"PPT2"
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_PADDING = [(0,) * (MAX_DIMS - dims) for dims in range(MAX_DIMS + 1)]
FLOAT_BYTES = 4


class Header(NamedTuple):
    """What a header says. shape: None where no tensor goes with it. sent: nanoseconds of the sender's clock."""

    kind: str
    step: int
    sent: int
    shape: tuple[int, ...] | None
    slot: int


def pack(kind: str, step: int, shape: tuple[int, ...] | None, slot: int = 0) -> bytes:
    """The header of one message that is sent now; `shape` is None where no tensor goes with it."""
    dims, sizes = (255, ()) if shape is None else (len(shape), shape)
    return _FORMAT.pack(_MAGIC, _NUMBERS[kind], dims, slot, step, time.perf_counter_ns(), *sizes, *_PADDING[len(sizes)])


def unpack(data: bytes | bytearray, slots: int, slot_bytes: int) -> Header:
    """What `data` says; `ChannelClosed` for a header that no peer of ours would send."""
    if len(data) != SIZE:
        raise ChannelClosed(f"a header of {len(data)} bytes arrived instead of {SIZE}")
    magic, kind, dims, slot, step, sent, *sizes = _FORMAT.unpack(data)
    if magic != _MAGIC or kind >= len(KINDS) or slot >= slots or step < 0:
        raise ChannelClosed("a header arrived that is not pipepita's")
    if dims == 255:
        return Header(KINDS[kind], step, sent, None, slot)
    shape = tuple(sizes[:dims]) if dims <= MAX_DIMS else ()
    if dims > MAX_DIMS or math.prod(shape) * FLOAT_BYTES > slot_bytes:
        raise ChannelClosed(f"a tensor of {dims} dimensions {shape} arrived where {slot_bytes} bytes are the most")
    return Header(KINDS[kind], step, sent, shape, slot)
