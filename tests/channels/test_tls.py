"""The encrypted channel: who may come, and what somebody on the way can see and change."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipepita.channels import handshake, tls
from pipepita.channels.channel import END, Wire
from pipepita.channels.transports import TRANSPORTS, Address, Listener, choose, connect
from pipepita.errors import ChannelClosed, UserError
from pipepita.schedule import STANDARD

SECRET, IDENTITY = handshake.new_secret(), tls.new_identity()
WIRE = Wire("test", 0, 1, capacity=4, rows=200_000, item=(), kinds=(STANDARD, END))


class Eavesdropper:
    """Passes everything on between the two ends of a channel, and keeps what the sender says.

    change: makes other bytes of a part of it.
    """

    def __init__(self, address: Address, change: Callable[[bytes], bytes] = lambda part: part) -> None:
        self.heard = bytearray()
        self._change, self._listening = change, socket.create_server(("127.0.0.1", 0))
        self._there = TRANSPORTS[address.transport].connect_socket(address.name, 10)
        self.address = replace(address, name=f"127.0.0.1:{self._listening.getsockname()[1]}")
        threading.Thread(target=self._begin, daemon=True).start()

    def _begin(self) -> None:
        here, _ = self._listening.accept()
        self._listening.close()
        threading.Thread(target=self._pass, args=(self._there, here, lambda part: part), daemon=True).start()
        self._pass(here, self._there, self._hear)

    def _hear(self, part: bytes) -> bytes:
        self.heard += part
        return self._change(part)

    def _pass(self, one: socket.socket, other: socket.socket, through: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            while part := one.recv(1 << 16):
                other.sendall(through(part))
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("size", [100, 150_000])
def test_nobody_on_the_way_can_read_it(transport, size):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    between = Eavesdropper(listener.address)
    outlet, inlet = connect(between.address, WIRE, SECRET, IDENTITY), listener.inlet()
    sent = torch.arange(size, dtype=torch.float32)
    for step in range(3):
        outlet.send(STANDARD, step, sent)
        message = inlet.receive(timeout=10)
        assert message.step == step and torch.equal(message.tensor, sent)
        message.release()
    pattern = sent[50:60].numpy().tobytes()
    assert len(between.heard) > 12 * size
    assert (pattern in between.heard) is (transport == "tcp")
    assert SECRET not in between.heard
    outlet.close()
    inlet.close()


def test_what_is_changed_on_the_way_is_not_taken():
    changing = threading.Event()

    def change(part: bytes) -> bytes:
        return part[:-1] + bytes([part[-1] ^ 1]) if changing.is_set() else part

    listener = Listener("tls", WIRE, SECRET, "127.0.0.1", IDENTITY)
    between = Eavesdropper(listener.address, change)
    outlet, inlet = connect(between.address, WIRE, SECRET, IDENTITY), listener.inlet()
    outlet.send(STANDARD, 0, torch.ones(10))
    assert inlet.receive(timeout=10).step == 0
    changing.set()
    outlet.send(STANDARD, 1, torch.ones(10))
    with pytest.raises(ChannelClosed, match="channel test"):
        inlet.receive(timeout=10)
    outlet.close()
    inlet.close()


def refused(come: Callable[[socket.socket], None]) -> str:
    """Why a stranger is turned away, while the right peer is not."""
    listener = Listener("tls", WIRE, SECRET, "127.0.0.1", IDENTITY)
    peer = TRANSPORTS["tls"].connect_socket(listener.address.name, 10)
    with contextlib.suppress(OSError, handshake.Refused):
        come(peer)
    end = time.monotonic() + 10
    while not listener.refused:
        assert time.monotonic() < end, "nobody was turned away"
    outlet, inlet = connect(listener.address, WIRE, SECRET, IDENTITY), listener.inlet()
    outlet.send(END, 7)
    assert inlet.receive(timeout=10).step == 7
    outlet.close()
    inlet.close()
    peer.close()
    (line,) = listener.refused
    return line


def test_only_who_has_the_runs_certificate_may_come():
    def plain(peer):
        handshake.connect_side(peer, SECRET, WIRE.name)  # knows the secret, but does not encrypt

    def of_another_run(peer):
        handshake.connect_side(tls.secure(peer, tls.new_identity(), listens=False), SECRET, WIRE.name)

    def without_one(peer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        handshake.connect_side(context.wrap_socket(peer), SECRET, WIRE.name)

    def old(peer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with tls._path(IDENTITY.certificate + IDENTITY.key) as path:
            context.load_cert_chain(path)
        handshake.connect_side(context.wrap_socket(peer), SECRET, WIRE.name)  # knows all, but not how it is done today

    for come in (plain, of_another_run, without_one, old):
        line = refused(come)
        assert line.startswith("channel test turned a peer away (127.0.0.1:")
        assert "no TLS with this run's certificate (" in line or "hung up" in line, line


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_sender_can_tell_that_the_receiver_has_hung_up(transport):
    listener = Listener(transport, WIRE, SECRET, "127.0.0.1", IDENTITY)
    outlet, inlet = connect(listener.address, WIRE, SECRET, IDENTITY), listener.inlet()
    outlet.send(END, 1)
    assert inlet.receive(timeout=10).step == 1
    assert not outlet.gone()
    inlet.close()
    end = time.monotonic() + 10
    while not outlet.gone():
        assert time.monotonic() < end
    outlet.close()


def test_a_listener_of_another_run_is_not_taken():
    listener = Listener("tls", WIRE, SECRET, "127.0.0.1", tls.new_identity())
    with pytest.raises(ChannelClosed, match="channel test: no TLS with this run's certificate"):
        connect(listener.address, WIRE, SECRET, IDENTITY)
    listener.close()


def test_between_hosts_only_what_is_asked_to_be_is_encrypted():
    assert choose("one", "other", encrypt=True) == "tls" and choose("one", "other") == "tcp"
    assert choose("one", "one", encrypt=True) == "shared_memory"


def test_a_key_does_not_show_and_is_left_nowhere():
    before = {*Path("/proc/self/fd").iterdir()}
    identity = tls.new_identity()
    tls._context(identity, True)
    # another test's may be closed meanwhile, but there is no new one
    assert {*Path("/proc/self/fd").iterdir()} <= before
    secret = identity.key.decode().splitlines()[1]
    for text in (repr(identity), str(identity), f"{identity}", repr({"a": identity})):
        assert secret not in text and "Identity(...)" in text
    assert not list(Path("/tmp").glob("*pipepita identity*"))


def test_without_the_package_that_makes_certificates_it_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(UserError, match="encrypt needs the package cryptography .*pip install cryptography"):
        tls.new_identity()
