"""What goes ahead of every tensor: whatever else comes over a wire is refused, with the reason."""

from __future__ import annotations

import time

import pytest

from pipepita.channels import header
from pipepita.channels.channel import END, Wire
from pipepita.errors import ChannelClosed
from pipepita.schedule import MODULATED, STANDARD

GOOD = header.pack(STANDARD, 5, (2, 3), 1)
ROWS = Wire("test", 0, 1, capacity=4, rows=10, item=(3,), kinds=(STANDARD, END))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes, or more, came instead of 73"),
        (GOOD[:-1], "72 bytes, or more, came instead of 73"),
        (b"HTTP" + GOOD[4:], "not pipepita's: it begins with b'HTTP' instead of b'PPT3'"),
        (b"PPT2" + GOOD[4:], "not pipepita's: it begins with b'PPT2'"),
        (GOOD[:4] + bytes([99]) + GOOD[5:], "unknown kind 99 came: the last one is 6"),
        (header.pack(MODULATED, 5, (2, 3)), "kind modulated came where standard, end belong"),
        (GOOD[:5] + bytes([7]) + GOOD[6:], "7 dimensions came: they have 1 to 6"),
        (GOOD[:5] + bytes([0]) + GOOD[6:], "0 dimensions came"),
        (GOOD[:6] + bytes([1]) + GOOD[7:], "unknown dtype 1 came where float32 belongs"),
        (header.pack(STANDARD, 5, (1 << 40, 3)), "1099511627776 items came, too large or empty: 1 to 10"),
        (header.pack(STANDARD, 5, (11, 3)), "11 items came, too large"),
        (header.pack(STANDARD, 5, (0, 3)), "0 items came"),
        (header.pack(STANDARD, 5, (3, 2)), r"wrong shape \(3, 2\) came where items of shape \(3,\) belong"),
        (header.pack(STANDARD, 5, (2, 3, 1)), r"wrong shape \(2, 3, 1\)"),
        (header.pack(STANDARD, 5, (6,)), r"wrong shape \(6,\)"),
        (header.pack(STANDARD, 5, None), "kind standard came without its tensor"),
        (header.pack(END, 5, (2, 3)), "kind end came with a tensor"),
        (header.pack(STANDARD, 5, (2, 3), 4), "slot 4 came: the last one is 3"),
        (header.pack(STANDARD, -1, (2, 3)), "step -1 came: they count from 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_headers_are_checked(data, reason):
    with pytest.raises(ChannelClosed, match=f"^channel test: a .*{reason}"):
        header.unpack(data, ROWS)


def test_headers_round_trip():
    before = time.perf_counter_ns()
    good = header.unpack(header.pack(STANDARD, 5, (2, 3), 1), ROWS)
    assert (good.kind, good.step, good.shape, good.slot) == (STANDARD, 5, (2, 3), 1)
    assert before <= good.sent <= time.perf_counter_ns()
    end = header.unpack(header.pack(END, 1 << 40, None), ROWS)
    assert (end.kind, end.step, end.shape, end.slot) == (END, 1 << 40, None, 0)
