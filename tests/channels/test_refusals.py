"""What a channel refuses: strangers before the right peer comes, and bad frames from a peer that knows the secret."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import threading
import time
import tracemalloc
from dataclasses import replace

import pytest
import torch

from pipepita.channels import handshake, header, tls, transports
from pipepita.channels.channel import END, Inlet, Outlet, Wire
from pipepita.channels.shared_memory import SharedMemoryInlet, SharedMemoryOutlet
from pipepita.channels.transports import TRANSPORTS, Address, Listener, connect
from pipepita.errors import ChannelClosed, RunError, UserError
from pipepita.schedule import STANDARD

SECRET, IDENTITY = handshake.new_secret(), tls.new_identity()
WIRE = Wire("test", 0, 1, capacity=4, rows=10, item=(3,), kinds=(STANDARD, END))
GOOD = header.pack(WIRE, STANDARD, 5, (2, 3), 1)


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request) -> str:
    return request.param


def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.005)


def dialled(address: Address) -> socket.socket:
    """A connection to a listener; over an encrypted transport by somebody who has the run's certificate."""
    peer = TRANSPORTS[address.transport].connect_socket(address.name, 10)
    return tls.secure(peer, IDENTITY, listens=False) if TRANSPORTS[address.transport].encrypts else peer


def flows(outlet: Outlet, inlet: Inlet) -> None:
    """Checks that messages arrive as usual, and closes both ends."""
    for step in range(50):
        sent = torch.randn(1 + step % 10, 3)
        outlet.send(STANDARD, step, sent)
        message = inlet.receive(timeout=10)
        assert message.step == step and torch.equal(message.tensor, sent)
        message.release()
    outlet.close()
    inlet.close()


def with_another_secret(peer):
    with pytest.raises(handshake.Refused, match="secret"):
        handshake.connect_side(peer, b"x" * 32, WIRE.name)
    peer.close()


def with_a_made_up_proof(peer):
    peer.sendall(bytes(32))
    handshake.read_exactly(peer, 64)
    peer.sendall(bytes(32))


def with_a_proof(role: str, wire: str, listener: bytes | None = None):
    """A proof that somebody who knows the secret once made: the listener's own, of another wire, or of another time."""

    def come(peer):
        ours = bytes(32)
        peer.sendall(ours)
        theirs = handshake.read_exactly(peer, 64)[:32]
        peer.sendall(handshake._proof(SECRET, role, wire, ours, theirs if listener is None else listener))

    return come


def with_a_truncated_frame(peer):
    peer.sendall(GOOD[:20])
    peer.close()


def with_frames(frame):
    def come(peer):
        with contextlib.suppress(ConnectionError):  # the listener may hang up before it has got them all
            for _ in range(4):  # over a Unix socket each is a packet of its own
                peer.sendall(frame)

    return come


STRANGERS = [
    (with_another_secret, "hung up"),
    (with_a_made_up_proof, "does not know this run's secret"),
    (with_a_proof("listener", WIRE.name), "does not know this run's secret"),
    (with_a_proof("connector", "another"), "does not know this run's secret"),
    (with_a_proof("connector", WIRE.name, listener=bytes(32)), "does not know this run's secret"),
    (with_a_truncated_frame, "hung up"),
    (with_frames(header.pack(WIRE, STANDARD, 0, (1 << 60, 3))), "does not know this run's secret"),
    (with_frames(b"\xff" * 64), "does not know this run's secret"),
    (with_frames(header.pack(WIRE, STANDARD, 0, (3, 2))), "does not know this run's secret"),
]


def test_strangers_are_refused_one_by_one_and_disturb_nothing(transport, caplog):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    held = []
    for number, (come, reason) in enumerate(STRANGERS, 1):
        peer = dialled(listener.address)
        who = f"{peer.getsockname()[0]}:{peer.getsockname()[1]}" if transport != "shared_memory" else ""
        come(peer)
        held.append(peer)
        until(lambda number=number: len(listener.refused) == number)
        assert listener.refused[-1].startswith("channel test turned a peer away")
        assert reason in listener.refused[-1] and who in listener.refused[-1]
    flows(connect(listener.address, WIRE, SECRET, IDENTITY), listener.inlet())
    assert caplog.messages == listener.refused and len(listener.refused) == len(STRANGERS)
    for text in (caplog.text, repr(vars(listener)), *listener.refused):
        assert SECRET.hex() not in text and bytes.__repr__(SECRET)[2:-1] not in text
    for peer in held:
        peer.close()


def test_the_silent_keep_nobody_waiting_and_go_when_listening_ends(transport, monkeypatch):
    monkeypatch.setattr(transports, "TIMEOUT", 1000)  # of a stranger: who waited for it would not be done in time
    threads = threading.active_count()
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    silent = [dialled(listener.address) for _ in range(5)]
    outlet = connect(listener.address, WIRE, SECRET, IDENTITY)
    inlet = listener.inlet()
    assert len(listener.refused) == 5
    assert all("had not proved who it is" in line for line in listener.refused)
    flows(outlet, inlet)
    until(lambda: threading.active_count() <= threads)
    for peer in silent:
        assert peer.recv(1) == b""  # the listener hung up
        peer.close()


@pytest.mark.parametrize("words", [b"", bytes(32), b"GET / HTTP/1.1\r\n\r\n" * 20], ids=["silent", "nonce", "noise"])
def test_a_flood_costs_little_and_does_not_keep_the_right_peer_out(transport, words, caplog):
    before, most, threads = threading.active_count(), 0, 0
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    flood = []
    for _ in range(200):
        peer = dialled(listener.address)
        if words:
            peer.sendall(words)
        flood.append(peer)
        threads = max(threads, threading.active_count() - before)
    outlet = connect(listener.address, WIRE, SECRET, IDENTITY)
    inlet = listener.inlet()
    most = max(threads, threading.active_count() - before)
    assert most < 100
    assert len(listener.refused) == 100  # only the first are named
    assert len(caplog.messages) == 100 and caplog.messages[-1].endswith("; no more are named")
    flows(outlet, inlet)
    until(lambda: threading.active_count() <= before)
    for peer in flood:
        peer.close()


def test_a_flood_that_goes_on_does_not_keep_the_right_peer_out(transport):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    stop = threading.Event()

    def flood() -> None:
        held: list[socket.socket] = []
        while not stop.is_set():
            try:
                held.append(dialled(listener.address))
            except OSError:  # listening has ended
                break
            if len(held) > 100:
                held.pop(0).close()
        for peer in held:
            peer.close()

    flooding = [threading.Thread(target=flood, daemon=True) for _ in range(2)]
    for thread in flooding:
        thread.start()
    until(lambda: listener.refused)
    outlet = connect(listener.address, WIRE, SECRET, IDENTITY)
    inlet = listener.inlet()
    stop.set()
    flows(outlet, inlet)
    for thread in flooding:
        thread.join(20)
        assert not thread.is_alive()


def test_only_the_first_who_knows_the_secret_is_the_peer(transport):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    outlet = connect(listener.address, WIRE, SECRET, IDENTITY)
    until(listener._joined.is_set)
    late = dialled(listener.address)
    handshake.connect_side(late, SECRET, WIRE.name)
    until(lambda: listener.refused)
    assert "the sender is here already" in listener.refused[0]
    flows(outlet, listener.inlet())
    late.close()


def authenticated(transport: str, wire: Wire = WIRE) -> tuple[socket.socket, Inlet]:
    """A peer that knows the secret and can send any bytes, and the inlet that it sends to."""
    listener = Listener(transport, wire, SECRET, "127.0.0.1", IDENTITY)
    peer = dialled(listener.address)
    handshake.connect_side(peer, SECRET, wire.name)
    if transport == "shared_memory":
        os.close(socket.recv_fds(peer, 16, 1)[1][0])
    return peer, listener.inlet()


BAD_FRAMES = {
    "magic": (b"PPT3" + GOOD[4:], "not pipepita's"),
    "kind": (GOOD[:4] + bytes([len(WIRE.kinds)]) + GOOD[5:], "unknown kind 2 came: its kinds are standard, end"),
    "no tensor expected": (GOOD[:4] + bytes([WIRE.kinds.index(END)]) + GOOD[5:], "kind end came with a tensor"),
    "no tensor": (header.pack(WIRE, STANDARD, 0, None), "without its tensor"),
    "dims": (GOOD[:5] + bytes([200]) + GOOD[6:], "200 dimensions"),
    "dtype": (GOOD[:6] + bytes([3]) + GOOD[7:], "dtype 3 came instead of float32"),
    "slot": (header.pack(WIRE, STANDARD, 0, (2, 3), 60000), "slot 60000"),
    "step": (header.pack(WIRE, STANDARD, -7, (2, 3)), "step -7"),
    "huge": (header.pack(WIRE, STANDARD, 0, ((1 << 64) - 1, 3)), "18446744073709551615 items came, too large"),
    "rows": (header.pack(WIRE, STANDARD, 0, (11, 3)), "11 items came, too large"),
    "overflow": (header.pack(WIRE, STANDARD, 0, (1 << 32, 1 << 31, 1 << 2)), "wrong shape"),
    "shape": (header.pack(WIRE, STANDARD, 0, (3, 2)), "wrong shape"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_ends_the_channel_and_costs_nothing(transport, name):
    frame, reason = BAD_FRAMES[name]
    peer, inlet = authenticated(transport)
    tracemalloc.start()
    try:
        peer.sendall(frame)
        with pytest.raises(ChannelClosed, match=f"^channel test: .*{reason}") as error:
            inlet.receive(timeout=10)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value)
    peer.close()
    with pytest.raises(ChannelClosed):
        inlet.receive(timeout=10)
    inlet.close()


def test_a_frame_that_breaks_off_ends_the_channel(transport):
    for sent in (GOOD[:30], GOOD, GOOD + bytes(10)):
        peer, inlet = authenticated(transport)
        if transport == "tcp" or len(sent) != header.SIZE:  # through shared memory a whole header is a whole message
            peer.sendall(sent)
        peer.close()
        with pytest.raises(ChannelClosed, match="channel test: (the sender is gone|a header of (30|74) bytes)"):
            inlet.receive(timeout=10)
        inlet.close()


def receiver(memory_bytes: int) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection to a receiver that offers so many bytes of memory."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memory = os.memfd_create("test")
    os.ftruncate(memory, memory_bytes)
    socket.send_fds(theirs, [b"memory"], [memory])
    os.close(memory)
    return ours, theirs


def test_memory_keeps_its_size_whatever_the_sender_asks_for():
    """Otherwise a receiver that reads from where memory was would be ended by the system."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    inlet = SharedMemoryInlet(ours, WIRE)
    memory = socket.recv_fds(theirs, 16, 1)[1][0]
    for bytes_ in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(memory, bytes_)
    os.close(memory)
    inlet.close()
    theirs.close()


def test_a_receiver_with_too_little_memory_is_refused():
    ours, theirs = receiver(4096)
    with pytest.raises(OSError, match="too small for this wire"):
        SharedMemoryOutlet(ours, WIRE)
    ours.close()
    theirs.close()


@pytest.mark.parametrize(("given_back", "reason"), [(b"\1", "1 bytes came"), (b"\0\0\4\0", "slot 4 came back")])
def test_slots_that_come_back_are_checked(given_back, reason):
    ours, theirs = receiver(4 * 4096)
    outlet = SharedMemoryOutlet(ours, WIRE)
    for step in range(4):
        outlet.send(STANDARD, step, torch.ones(2, 3))
    theirs.sendall(given_back)
    with pytest.raises(ChannelClosed, match=f"channel test: {reason}"):
        outlet.send(STANDARD, 4, torch.ones(2, 3))
    outlet.close()
    theirs.close()


@pytest.mark.parametrize("address", ["0.0.0.0", "", "::", "0"])
def test_nobody_listens_on_every_network(address):
    with pytest.raises(UserError, match=f"address '{address}' means every network"):
        Listener("tcp", WIRE, SECRET, address)


def test_nobody_listens_on_another_host_s_address():
    with pytest.raises(RunError, match="cannot listen on '192.0.2.77': Cannot assign requested address; is it this"):
        Listener("tcp", WIRE, SECRET, "192.0.2.77")


def test_a_secret_does_not_show():
    assert {repr(SECRET), str(SECRET), f"{SECRET}", "%s" % SECRET, repr([SECRET])[1:-1]} == {"Secret(...)"}  # noqa: UP031
    assert pickle.loads(pickle.dumps(SECRET)) == SECRET and "Secret(" in repr(pickle.loads(pickle.dumps(SECRET)))
    assert len(SECRET) == 32 and handshake.new_secret() != SECRET


def test_the_slots_of_a_wire_follow_from_what_it_carries():
    assert WIRE.slot_bytes == 10 * 3 * 4
    assert replace(WIRE, rows=2, item=(2, 5)).slot_bytes == 80
