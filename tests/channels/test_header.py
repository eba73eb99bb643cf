"""The header of every message: any other bytes are refused, with the reason."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pipepita.channels import header
from pipepita.channels.channel import END, Wire
from pipepita.errors import ChannelClosed, RunError, UserError
from pipepita.schedule import STANDARD

ROWS = Wire("test", 0, 1, capacity=4, rows=10, item=(3,), kinds=(STANDARD, END))
GOOD = header.pack(ROWS, STANDARD, 5, (2, 3), 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes, or more, came instead of 73"),
        (GOOD[:-1], "72 bytes, or more, came instead of 73"),
        (b"HTTP" + GOOD[4:], "not pipepita's: it begins with b'HTTP' instead of b'PPT4'"),
        (b"PPT3" + GOOD[4:], "not pipepita's: it begins with b'PPT3'"),
        (GOOD[:4] + bytes([99]) + GOOD[5:], "unknown kind 99 came: its kinds are standard, end"),
        (GOOD[:4] + bytes([2]) + GOOD[5:], "unknown kind 2 came: its kinds are standard, end"),
        (GOOD[:5] + bytes([7]) + GOOD[6:], "7 dimensions came: it must have 1 to 6"),
        (GOOD[:5] + bytes([0]) + GOOD[6:], "0 dimensions came"),
        (GOOD[:6] + bytes([1]) + GOOD[7:], "unknown dtype 1 came instead of float32"),
        (header.pack(ROWS, STANDARD, 5, (1 << 40, 3)), "1099511627776 items came, too large or empty: it must"),
        (header.pack(ROWS, STANDARD, 5, (11, 3)), "11 items came, too large"),
        (header.pack(ROWS, STANDARD, 5, (0, 3)), "0 items came"),
        (header.pack(ROWS, STANDARD, 5, (3, 2)), r"wrong shape \(3, 2\) came: its items must have shape \(3,\)"),
        (header.pack(ROWS, STANDARD, 5, (2, 3, 1)), r"wrong shape \(2, 3, 1\)"),
        (header.pack(ROWS, STANDARD, 5, (6,)), r"wrong shape \(6,\)"),
        (header.pack(ROWS, STANDARD, 5, None), "kind standard came without its tensor"),
        (header.pack(ROWS, END, 5, (2, 3)), "kind end came with a tensor"),
        (header.pack(ROWS, STANDARD, 5, (2, 3), 4), "slot 4 came: the last one is 3"),
        (header.pack(ROWS, STANDARD, -1, (2, 3)), "step -1 came: steps count from 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_headers_are_checked(data, reason):
    with pytest.raises(ChannelClosed, match=f"^channel test: a .*{reason}"):
        header.unpack(data, ROWS)


def test_a_pass_may_have_any_name_and_one_that_the_wire_does_not_carry_is_not_sent():
    wire = replace(ROWS, kinds=("dream", END))
    assert header.unpack(header.pack(wire, "dream", 5, (2, 3)), wire).kind == "dream"
    with pytest.raises(RunError, match="^channel test cannot carry a message of kind standard: its kinds are dream"):
        header.pack(wire, STANDARD, 5, (2, 3))


def test_kinds_that_cannot_be_told_apart_are_refused():
    with pytest.raises(UserError, match="^channel test: kind end occurs twice in standard, end, end: rename the pass"):
        replace(ROWS, kinds=(STANDARD, END, END))


def test_headers_round_trip():
    before = time.perf_counter_ns()
    good = header.unpack(header.pack(ROWS, STANDARD, 5, (2, 3), 1), ROWS)
    assert (good.kind, good.step, good.shape, good.slot) == (STANDARD, 5, (2, 3), 1)
    assert before <= good.sent <= time.perf_counter_ns()
    end = header.unpack(header.pack(ROWS, END, 1 << 40, None), ROWS)
    assert (end.kind, end.step, end.shape, end.slot) == (END, 1 << 40, None, 0)
