"""Any bytes give messages within the wire's bounds or `ChannelClosed`, never another error, and never a hang."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipepita.channels import header
from pipepita.channels.channel import BARE, CONTROL, END, Inlet, Message, Wire
from pipepita.channels.shared_memory import SharedMemoryInlet
from pipepita.channels.tcp import TcpInlet
from pipepita.errors import ChannelClosed
from pipepita.schedule import STANDARD

KINDS = ("standard", "a pass of a stranger's rule", *CONTROL)
WIRE = Wire("test", 0, 1, capacity=4, rows=6, item=(2, 3), kinds=KINDS)
pytestmark = pytest.mark.slow
quick = settings(max_examples=1000, deadline=None, derandomize=True)
slow = settings(max_examples=150, deadline=None, derandomize=True)  # sockets and threads

shapes = st.lists(st.integers(1, 1 << 40), min_size=1, max_size=header.MAX_DIMS).map(tuple)
steps = st.integers(0, (1 << 63) - 1)
# messages on WIRE: (kind, step, rows, slot); rows is None if there is no tensor
messages = st.one_of(
    st.tuples(st.sampled_from(sorted(set(KINDS) - set(BARE))), steps, st.integers(1, 6), st.integers(0, 3)),
    st.tuples(st.sampled_from(BARE), steps, st.none(), st.just(0)),
)


def packed(kind: str, step: int, rows: int | None, slot: int) -> bytes:
    return header.pack(WIRE, kind, step, None if rows is None else (rows, *WIRE.item), slot)


@st.composite
def mutated(draw) -> bytes:
    """A good header of which some bytes were changed, and perhaps some cut off."""
    data = bytearray(packed(*draw(messages)))
    for place, value in draw(st.lists(st.tuples(st.integers(0, header.SIZE - 1), st.integers(0, 255)), max_size=4)):
        data[place] = value
    return bytes(data[: draw(st.integers(0, header.SIZE))] if draw(st.booleans()) and draw(st.booleans()) else data)


def assert_within(wire: Wire, kind: str, step: int, shape: Sequence[int] | None) -> None:
    assert kind in wire.kinds and step >= 0
    assert (shape is None) == (kind in BARE)
    if shape is not None:
        assert 1 <= shape[0] <= wire.rows
        assert tuple(shape[1:]) == wire.item
        assert torch.Size(shape).numel() * 4 <= wire.slot_bytes


@quick
@given(st.sampled_from(KINDS), steps, shapes, st.integers(0, 65535))
def test_what_is_packed_is_unpacked(kind, step, shape, slot):
    shape = None if kind in BARE else shape
    wire = Wire("any", 0, 1, capacity=65536, rows=1 << 40, item=shape[1:] if shape else (), kinds=KINDS)
    unpacked = header.unpack(header.pack(wire, kind, step, shape, slot), wire)
    assert (unpacked.kind, unpacked.step, unpacked.shape, unpacked.slot) == (kind, step, shape, slot)


@quick
@given(st.one_of(mutated(), st.binary(max_size=2 * header.SIZE), st.binary(min_size=header.SIZE, max_size=header.SIZE)))
def test_a_header_is_within_bounds_or_refused(data):
    for wire in (WIRE, replace(WIRE, item=(6,)), replace(WIRE, kinds=(STANDARD, END))):
        try:
            unpacked = header.unpack(data, wire)
        except ChannelClosed as error:
            assert str(error).startswith("channel test: a ") and "\n" not in str(error)
            continue
        assert_within(wire, unpacked.kind, unpacked.step, unpacked.shape)
        assert 0 <= unpacked.slot < wire.capacity


def framed(number: int, kind: str, step: int, rows: int | None, slot: int) -> bytes:
    """A message as it goes over TCP; each entry of its tensor is `number`."""
    tensor = b"" if rows is None else torch.full((rows, *WIRE.item), float(number)).numpy().tobytes()
    return packed(kind, step, rows, slot) + tensor


def received(inlet: Inlet) -> list[Message]:
    """All messages until the channel is closed. Each tensor is copied and released at once."""
    messages = []
    while True:
        try:
            message = inlet.receive(timeout=10)
        except ChannelClosed as error:
            assert "\n" not in str(error)
            return messages
        message.tensor = None if message.tensor is None else message.tensor.clone()
        message.release()
        messages.append(message)


def through_tcp(parts: Sequence[bytes]) -> list[Message]:
    """The messages that arrive if these bytes are sent part by part before the sender hangs up."""
    sender, peer = socket.socketpair()
    inlet = _tcp_inlet(peer)
    for part in parts:
        try:
            sender.sendall(part)
        except OSError:
            break
    sender.close()
    try:
        return received(inlet)
    finally:
        inlet.close()


def _tcp_inlet(peer: socket.socket) -> TcpInlet:
    """An inlet on a Unix socket, for which the options of TCP are left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipepita.channels.tcp._prepare", lambda peer: peer.settimeout(None))
        return TcpInlet(peer, WIRE)


def split_at(stream: bytes, places: Sequence[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(at)]


cuts = st.lists(st.integers(0, 1 << 20), max_size=20)


@slow
@given(st.lists(messages, max_size=12), cuts)
def test_a_stream_arrives_whole_however_it_is_cut(sent, places):
    arrived = through_tcp(split_at(b"".join(framed(number, *message) for number, message in enumerate(sent)), places))
    assert [(message.kind, message.step) for message in arrived] == [message[:2] for message in sent]
    for number, (message, (_, _, rows, _)) in enumerate(zip(arrived, sent, strict=True)):
        assert (message.tensor is None) == (rows is None)
        if message.tensor is not None:
            assert torch.equal(message.tensor, torch.full((rows, *WIRE.item), float(number)))


@slow
@given(
    st.lists(messages, min_size=1, max_size=8),
    cuts,
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6),
    st.tuples(st.integers(0, 1 << 20), st.binary(max_size=30), st.integers(0, 30)),
)
def test_a_stream_with_errors_brings_sound_messages_until_it_ends(sent, places, changes, splice):
    stream = bytearray(b"".join(framed(number, *message) for number, message in enumerate(sent)))
    for place, value in changes:
        stream[place % len(stream)] = value
    place, inserted, removed = splice
    place %= len(stream)
    stream[place : place + removed] = inserted
    for message in through_tcp(split_at(bytes(stream), places)):
        assert_within(WIRE, message.kind, message.step, None if message.tensor is None else message.tensor.shape)


@slow
@given(
    st.lists(st.one_of(messages.map(lambda message: packed(*message)), mutated(), st.binary(max_size=100)), max_size=8)
)
def test_packets_on_shared_memory_bring_sound_messages_until_it_ends(packets):
    assume(all(packets))  # an empty packet looks like a sender that hangs up
    sender, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    inlet = SharedMemoryInlet(peer, WIRE)
    os.close(socket.recv_fds(sender, 16, 1)[1][0])
    for packet in packets:
        sender.sendall(packet)
    sender.shutdown(socket.SHUT_WR)
    for message in received(inlet):
        assert_within(WIRE, message.kind, message.step, None if message.tensor is None else message.tensor.shape)
    inlet.close()
    sender.close()
