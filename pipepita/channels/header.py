"""The wire format: one header of fixed size per message, then (over TCP) the bytes of the tensor.

    magic  kind  dims  dtype  slot  step  sent  shape[6]        little-endian, 73 bytes
    4s     B     B     B      H     q     q     6Q

A kind is a number: its place among the kinds of the wire. The receiver compares a header with what the wire may carry
before it reads or allocates anything because of it.
"""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

from pipepita.channels.channel import BARE, FLOAT_BYTES, Wire
from pipepita.errors import Malformed, RunError

_FORMAT = struct.Struct("<4s3BH2q6Q")
SIZE = _FORMAT.size
MAX_DIMS = 6
_MAGIC = b"PPT4"
# bytes per element; on the wire a dtype is its place in this list, so only append
DTYPES = {"float32": FLOAT_BYTES}
_FLOAT32 = list(DTYPES).index("float32")
_NO_TENSOR = 255
_PADDING = [(0,) * (MAX_DIMS - dims) for dims in range(MAX_DIMS + 1)]


class Header(NamedTuple):
    """What a header says.

    Attributes:
        kind: The kind of the message.
        step: The number of the sample.
        sent: When it was sent, in nanoseconds of the sender's clock.
        shape: The shape of the tensor; None if there is no tensor.
        slot: The slot of shared memory in which the tensor lies.
    """

    kind: str
    step: int
    sent: int
    shape: tuple[int, ...] | None
    slot: int


def pack(wire: Wire, kind: str, step: int, shape: tuple[int, ...] | None, slot: int = 0) -> bytes:
    """The header of a message that is sent now on `wire`; `shape` is None if it has no tensor.

    Raises:
        RunError: The wire does not carry this kind of message.
    """
    if kind not in wire.kinds:
        raise RunError(
            f"channel {wire.name} cannot carry a message of kind {kind}: its kinds are {', '.join(wire.kinds)}"
        )
    dims, sizes = (_NO_TENSOR, ()) if shape is None else (len(shape), shape)
    return _FORMAT.pack(
        _MAGIC, wire.kinds.index(kind), dims, _FLOAT32, slot, step, time.perf_counter_ns(),
        *sizes, *_PADDING[len(sizes)],
    )  # fmt: skip


def unpack(data: bytes | bytearray, wire: Wire) -> Header:
    """Reads the header `data`.

    Raises:
        Malformed: No peer that belongs to this run would send such a header on `wire`.
    """
    if len(data) != SIZE:
        raise _refused(wire, f"a header of {len(data)} bytes, or more, came instead of {SIZE}")
    magic, number, dims, dtype, slot, step, sent, *sizes = _FORMAT.unpack(data)
    if magic != _MAGIC:
        raise _refused(wire, f"a header came that is not pipepita's: it begins with {magic!r} instead of {_MAGIC!r}")
    if number >= len(wire.kinds):
        raise _refused(wire, f"a message of unknown kind {number} came: its kinds are {', '.join(wire.kinds)}")
    kind = wire.kinds[number]
    if dtype != _FLOAT32:
        name = list(DTYPES)[dtype] if dtype < len(DTYPES) else f"unknown dtype {dtype}"
        raise _refused(wire, f"a tensor of {name} came instead of float32")
    if step < 0:
        raise _refused(wire, f"a message of step {step} came: steps count from 0")
    if slot >= wire.capacity:
        raise _refused(wire, f"a message in slot {slot} came: the last one is {wire.capacity - 1}")
    if (dims == _NO_TENSOR) != (kind in BARE):
        raise _refused(wire, f"a message of kind {kind} came {'with a' if kind in BARE else 'without its'} tensor")
    if dims == _NO_TENSOR:
        return Header(kind, step, sent, None, slot)
    if not 0 < dims <= MAX_DIMS:
        raise _refused(wire, f"a tensor of {dims} dimensions came: it must have 1 to {MAX_DIMS}")
    shape = tuple(sizes[:dims])
    if shape[1:] != wire.item:
        raise _refused(wire, f"a tensor of the wrong shape {shape} came: its items must have shape {wire.item}")
    if not 0 < shape[0] <= wire.rows:
        raise _refused(wire, f"a tensor of {shape[0]} items came, too large or empty: it must have 1 to {wire.rows}")
    return Header(kind, step, sent, shape, slot)


def _refused(wire: Wire, reason: str) -> Malformed:
    return Malformed(f"channel {wire.name}: {reason}")
