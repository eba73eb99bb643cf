"""Both ends of a channel prove that they know the run's secret before they exchange anything else.

    connector                                   listener
        nonce_c                          ->
                                         <-     nonce_l + HMAC(secret, "listener" wire nonce_c nonce_l)
        HMAC(secret, "connector" ...)    ->
                                         <-     "ok"

The HMAC is HMAC-SHA256. The nonces make a recorded exchange useless. Messages have fixed sizes, so the handshake works
on streams, too.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket

_NONCE, _PROOF, _OK = 32, 32, b"ok"


class Refused(Exception):
    """The peer could not prove that it belongs to this run."""


class Secret(bytes):
    """Bytes that are never printed in a log, an error or a debugger."""

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


def new_secret() -> bytes:
    """A secret for one run."""
    return Secret(secrets.token_bytes(32))


def listen_side(peer: socket.socket, secret: bytes, wire: str) -> None:
    """Authenticates a peer that connected to us. Raises `Refused` or `OSError` if it does not belong to this run."""
    theirs, ours = read_exactly(peer, _NONCE), secrets.token_bytes(_NONCE)
    peer.sendall(ours + _proof(secret, "listener", wire, theirs, ours))
    _check(read_exactly(peer, _PROOF), _proof(secret, "connector", wire, theirs, ours))
    peer.sendall(_OK)


def connect_side(peer: socket.socket, secret: bytes, wire: str) -> None:
    """Authenticates the listener that we connected to. Raises `Refused` or `OSError` if it is not of this run."""
    ours = secrets.token_bytes(_NONCE)
    peer.sendall(ours)
    answer = read_exactly(peer, _NONCE + _PROOF)
    theirs = answer[:_NONCE]
    _check(answer[_NONCE:], _proof(secret, "listener", wire, ours, theirs))
    peer.sendall(_proof(secret, "connector", wire, ours, theirs))
    if read_exactly(peer, len(_OK)) != _OK:
        raise Refused("the listener did not accept this end")


def read_exactly(peer: socket.socket, size: int) -> bytes:
    """Reads `size` bytes from `peer`. Raises `Refused` if it closes the connection before."""
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            raise Refused("the peer hung up during the handshake")
        data += part
    return data


def _proof(secret: bytes, role: str, wire: str, connector: bytes, listener: bytes) -> bytes:
    return hmac.new(secret, b"\0".join([role.encode(), wire.encode(), connector, listener]), hashlib.sha256).digest()


def _check(proof: bytes, expected: bytes) -> None:
    if not hmac.compare_digest(proof, expected):
        raise Refused("the peer does not know this run's secret")
