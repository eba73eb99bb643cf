"""One suite for every transport: what `channels.channel` promises, over real sockets and real shared memory."""

from __future__ import annotations

import gc
import multiprocessing as mp
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from leftovers import forgotten, shared_memory

from pipepita.channels import handshake, tls, transports
from pipepita.channels.channel import DONE, END, Inlet, Outlet, Wire
from pipepita.channels.transports import TRANSPORTS, Address, Listener, choose, connect, host
from pipepita.errors import ChannelClosed
from pipepita.schedule import MAX_WINDOW, MODULATED, STANDARD

SECRET, IDENTITY = b"s" * 32, tls.new_identity()
KINDS = (STANDARD, MODULATED, END, DONE)
WIRE = Wire("test", 0, 1, capacity=4, rows=1000, item=(), kinds=KINDS)


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request) -> str:
    return request.param


def joined(transport: str, wire: Wire) -> tuple[Outlet, Inlet]:
    listener = Listener(transport, wire, SECRET, "127.0.0.1", IDENTITY)
    return connect(listener.address, wire, SECRET, IDENTITY), listener.inlet()


@pytest.fixture
def ends(transport) -> Iterator[tuple[Outlet, Inlet]]:
    outlet, inlet = joined(transport, WIRE)
    yield outlet, inlet
    outlet.close()
    inlet.close()


@pytest.mark.parametrize(
    "sent",
    [
        [torch.randn(1000), torch.randn(1), torch.randn(999)],
        [torch.randn(3, 5), torch.randn(5, 6).t(), torch.randn(1, 5).double()],
        [torch.randn(2, 3, 4, 5), torch.randn(5, 4, 3, 2).permute(3, 2, 1, 0)],
    ],
    ids=["numbers", "rows", "images"],
)
def test_messages_arrive_in_order_whole_and_aligned(transport, sent):
    outlet, inlet = joined(transport, replace(WIRE, item=tuple(sent[0].shape[1:])))
    for step, tensor in enumerate(sent):
        outlet.send(STANDARD if step % 2 else MODULATED, step, tensor)
        message = inlet.receive(timeout=5)
        assert (message.kind, message.step) == (STANDARD if step % 2 else MODULATED, step)
        assert message.tensor.shape == tensor.shape
        assert torch.equal(message.tensor, tensor.float())
        assert message.tensor.is_contiguous()
        assert message.tensor.data_ptr() % 64 == 0
        message.release()
    outlet.send(END, 7)
    last = inlet.receive(timeout=5)
    assert (last.kind, last.step, last.tensor) == (END, 7, None)
    outlet.close()
    inlet.close()


def test_what_is_not_released_stays_as_it_was(ends):
    outlet, inlet = ends
    for step in range(4):
        outlet.send(STANDARD, step, torch.full((9,), float(step)))
    held = [inlet.receive(timeout=5) for _ in range(4)]
    held[2].release()  # slots come back in any order
    outlet.send(STANDARD, 4, torch.full((9,), 4.0))
    fifth = inlet.receive(timeout=5)
    for message, value in ((held[0], 0), (held[1], 1), (held[3], 3), (fifth, 4)):
        assert message.tensor.eq(value).all()


def test_sender_waits_when_the_receiver_holds_everything(ends):
    outlet, inlet = ends
    big = torch.ones(1000)
    sent: list[int] = []

    def send() -> None:
        for step in range(2000):
            outlet.send(STANDARD, step, big)
            sent.append(step)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    time.sleep(0.3)
    assert len(sent) < 2000  # the channel is bounded: the rest of 8 MB waits
    for step in range(2000):
        message = inlet.receive(timeout=5)
        assert message.step == step
        message.release()
    thread.join(5)
    assert len(sent) == 2000


def test_many_messages_without_tensors_need_no_slot(ends):
    outlet, inlet = ends
    for step in range(50):
        outlet.send(DONE, step)
    assert [inlet.receive(timeout=5).step for _ in range(50)] == list(range(50))


def test_timeout_is_no_end(ends):
    outlet, inlet = ends
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        inlet.receive(timeout=0.1)
    assert time.monotonic() - began > 0.05
    outlet.send(STANDARD, 0, torch.ones(2))
    assert inlet.receive(timeout=5).step == 0


def test_closing_tells_the_peer_after_what_was_sent(ends):
    outlet, inlet = ends
    outlet.send(STANDARD, 0, torch.ones(2))
    outlet.close()
    assert inlet.receive(timeout=5).step == 0
    for _ in range(2):
        with pytest.raises(ChannelClosed):
            inlet.receive(timeout=5)


def test_closing_takes_nothing_back_that_waits(ends):
    """Also if the sender has not read yet that a slot is free again."""
    outlet, inlet = ends
    for step in range(3):
        outlet.send(STANDARD, step, torch.full((2,), float(step)))
    inlet.receive(timeout=5).release()
    time.sleep(0.1)  # until the slot has come back
    outlet.close()
    assert [float(inlet.receive(timeout=5).tensor.sum()) for _ in range(2)] == [2.0, 4.0]
    with pytest.raises(ChannelClosed):
        inlet.receive(timeout=5)


def test_sending_to_a_closed_peer_fails(ends):
    outlet, inlet = ends
    inlet.close()
    with pytest.raises(ChannelClosed):
        for step in range(100):
            outlet.send(STANDARD, step, torch.ones(1000))
            time.sleep(0.01)


def _send_and_hang(address: Address, identity: tls.Identity) -> None:
    outlet = connect(address, WIRE, SECRET, identity)
    outlet.send(STANDARD, 0, torch.ones(2))
    time.sleep(60)


@pytest.mark.slow
def test_killed_sender_is_noticed_at_once(transport):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    peer = mp.get_context("spawn").Process(target=_send_and_hang, args=(listener.address, IDENTITY))
    peer.start()
    inlet = listener.inlet()
    assert inlet.receive(timeout=20).step == 0
    os.kill(peer.pid, signal.SIGKILL)
    with pytest.raises(ChannelClosed):  # and no TimeoutError
        inlet.receive(timeout=5)
    peer.join()
    inlet.close()


def test_peer_without_the_secret_is_turned_away_and_disturbs_nothing(transport, caplog):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    with pytest.raises(ChannelClosed):
        connect(listener.address, WIRE, b"x" * 32, IDENTITY)
    noise = TRANSPORTS[transport].connect_socket(listener.address.name, 5)
    noise.send(b"GET / HTTP/1.1\r\n\r\n" + bytes(200))
    noise.close()
    outlet = connect(listener.address, WIRE, SECRET, IDENTITY)
    inlet = listener.inlet()
    outlet.send(STANDARD, 3, torch.ones(2))
    assert inlet.receive(timeout=5).step == 3
    assert caplog.text.count("turned a peer away") == 2
    outlet.close()
    inlet.close()


def test_a_silent_stranger_keeps_nobody_waiting(transport, monkeypatch):
    monkeypatch.setattr(transports, "TIMEOUT", 1000)  # of a stranger: who waited for it would not be done in time
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    silent = TRANSPORTS[transport].connect_socket(listener.address.name, 5)
    outlet = connect(listener.address, WIRE, SECRET, IDENTITY)
    inlet = listener.inlet()
    for end in (outlet, inlet, silent):
        end.close()


def test_the_largest_window_fits(transport):
    """A channel for the largest window holds its capacity of unread messages without blocking the sender."""
    wire = Wire("large", 0, 1, capacity=2 * MAX_WINDOW + 2, rows=16, item=(), kinds=KINDS)
    listener = Listener(transport, wire, SECRET, "127.0.0.1", IDENTITY)
    outlet = connect(listener.address, wire, SECRET, IDENTITY)
    inlet = listener.inlet()
    sender = threading.Thread(
        target=lambda: [outlet.send(STANDARD, step, torch.ones(16)) for step in range(2 * MAX_WINDOW + 2)], daemon=True
    )
    sender.start()
    sender.join(10)
    assert not sender.is_alive()
    assert [inlet.receive(timeout=5).step for _ in range(2 * MAX_WINDOW + 2)] == list(range(2 * MAX_WINDOW + 2))
    outlet.close()
    inlet.close()


def test_a_false_listener_is_refused(transport):
    """The connecting end asks for proof, too."""
    listener = Listener(transport, WIRE, b"another secret", "127.0.0.1", IDENTITY)
    with pytest.raises(ChannelClosed, match="secret"):
        connect(listener.address, WIRE, SECRET, IDENTITY)
    listener.close()


def test_nobody_there(transport):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    listener.close()
    with pytest.raises(ChannelClosed, match="nobody listens"):
        connect(listener.address, WIRE, SECRET, IDENTITY)


def test_nothing_is_left_behind(transport):
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()  # what earlier tests left
    before, threads, shared = open_files(), threading.active_count(), shared_memory()
    for _ in range(5):
        listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
        outlet = connect(listener.address, WIRE, SECRET, IDENTITY)
        inlet = listener.inlet()
        outlet.send(STANDARD, 0, torch.ones(9))
        inlet.receive(timeout=5)
        outlet.close()
        inlet.close()
    del inlet, outlet, listener
    gc.collect()
    assert open_files() <= before
    assert threading.active_count() <= threads
    assert not forgotten(shared, 0)


def test_bad_bytes_after_the_handshake_end_the_channel_cleanly():
    listener = Listener("tcp", WIRE, SECRET, "127.0.0.1")
    peer = TRANSPORTS["tcp"].connect_socket(listener.address.name, 5)
    handshake.connect_side(peer, SECRET, WIRE.name)
    inlet = listener.inlet()
    peer.sendall(b"\xff" * 500)
    with pytest.raises(ChannelClosed, match="not pipepita's"):
        inlet.receive(timeout=5)
    peer.close()
    inlet.close()


def test_where_the_ends_are_decides():
    assert choose(host(), host()) == "shared_memory"
    assert choose(host(), "elsewhere") == "tcp"


def test_tcp_listens_on_the_nodes_address_only():
    listener = Listener("tcp", WIRE, SECRET, "127.0.0.1")
    port = int(listener.address.name.rpartition(":")[2])
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=1):
        pass
    listener.close()
