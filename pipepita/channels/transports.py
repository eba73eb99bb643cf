"""Which transport a wire takes, and how its two ends find and trust each other.

listener = Listener("tcp", wire, secret, node_address)   # at the receiving end
outlet   = connect(listener.address, wire, secret)       # at the sending end, given the address
inlet    = listener.inlet()                              # once the sender has proved that it knows the secret
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipepita.channels import handshake, shared_memory, tcp
from pipepita.channels.channel import Inlet, Outlet, Wire
from pipepita.errors import ChannelClosed, unknown

log = logging.getLogger(__name__)
TIMEOUT = 20.0  # seconds to set up a channel; generous, since a loaded machine may be slow to schedule both ends
# Strangers may come in any number. Who is examined for longest goes when another one waits, but has this time first:
# so the right peer is examined after at most `listen`'s queue of strangers, and for long enough.
_EXAMINED_AT_ONCE, _PATIENCE = 64, 0.5
_NAMED = 100  # refusals that are kept and logged


@dataclass(frozen=True)
class Transport:
    """One way to move messages: how to listen, how to connect, and the two ends."""

    open_socket: Callable[[str], tuple[socket.socket, str]]
    connect_socket: Callable[[str, float], socket.socket]
    inlet: Callable[[socket.socket, Wire], Inlet]
    outlet: Callable[[socket.socket, Wire], Outlet]


TRANSPORTS = {
    "shared_memory": Transport(
        shared_memory.open_socket,
        shared_memory.connect_socket,
        shared_memory.SharedMemoryInlet,
        shared_memory.SharedMemoryOutlet,
    ),
    "tcp": Transport(tcp.open_socket, tcp.connect_socket, tcp.TcpInlet, tcp.TcpOutlet),
}


@dataclass(frozen=True)
class Address:
    """Where a listener waits."""

    transport: str
    name: str


@functools.cache
def host() -> str:
    """What two processes have in common exactly if they can share memory: one kernel and one network namespace."""
    if sys.platform != "linux":
        return f"{socket.gethostname()}-{os.getpid()}"  # no memfd: every process is its own host, so TCP
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{os.stat('/proc/self/ns/net').st_ino}"  # noqa: PTH116 (a link that leads nowhere)


def choose(source_host: str, target_host: str) -> str:
    """The transport between two ends that report these hosts."""
    return "shared_memory" if source_host == target_host and sys.platform == "linux" else "tcp"


class Listener:
    """Waits for the one peer of a wire that knows the secret; whoever does not is turned away and changes nothing.

    refused: who was turned away and why, a line each; the first of them, where there are very many.
    """

    def __init__(self, transport: str, wire: Wire, secret: bytes, node_address: str) -> None:
        self._transport, self._wire, self._secret = TRANSPORTS[transport], wire, secret
        self._socket, name = self._transport.open_socket(node_address)
        self._socket.listen()
        self.address = Address(transport, name)
        self.refused: list[str] = []
        self._inlet: Inlet | None = None
        self._found = threading.Event()
        self._examined: dict[socket.socket, tuple[float, str]] = {}  # since when, and who; the first one comes first
        self._room = threading.Condition()  # held to change any of these
        self._thread = threading.Thread(target=self._wait, name=f"listen {wire.name}", daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        while True:
            try:
                peer, address = self._socket.accept()
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):  # closed here
                    return
                time.sleep(0.01)  # it hung up while it queued, or this process has no descriptor left just now
                continue
            self._admit(peer, f" ({address[0]}:{address[1]})" if isinstance(address, tuple) else "")
            # a thread each, so that one who says nothing does not keep the right one waiting
            threading.Thread(target=self._examine, args=(peer,), name=f"examine {self._wire.name}", daemon=True).start()

    def _admit(self, peer: socket.socket, who: str) -> None:
        """Waits until there is room for one more."""
        with self._room:
            while len(self._examined) >= _EXAMINED_AT_ONCE:
                slowest = next(iter(self._examined))
                left = self._examined[slowest][0] + _PATIENCE - time.monotonic()
                if left > 0:
                    self._room.wait(left)
                else:
                    self._turn_away(slowest, "it took too long, and others waited")
            self._examined[peer] = time.monotonic(), who

    def _examine(self, peer: socket.socket) -> None:
        try:
            peer.settimeout(TIMEOUT)
            handshake.listen_side(peer, self._secret, self._wire.name)
            with self._room:
                if self._inlet is not None or peer not in self._examined:
                    raise handshake.Refused("the sender is here already")
                self._inlet = self._transport.inlet(peer, self._wire)
                del self._examined[peer]
                self._room.notify()
            self._found.set()
        except (handshake.Refused, OSError) as error:
            self._turn_away(peer, str(error))
            peer.close()

    def _turn_away(self, peer: socket.socket, reason: str) -> None:
        """Says so once, and wakes who examines it."""
        with self._room:
            if peer not in self._examined:
                return
            _, who = self._examined.pop(peer)
            self._room.notify()
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            if len(self.refused) < _NAMED:
                self.refused.append(f"channel {self._wire.name} turned a peer away{who}: {reason}")
                log.warning("%s%s", self.refused[-1], "; no more are named" if len(self.refused) == _NAMED else "")

    def inlet(self) -> Inlet:
        """The receiving end, once the peer is there; `ChannelClosed` if it does not come in time."""
        self._found.wait(TIMEOUT)
        self.close()
        if self._inlet is None:
            raise ChannelClosed(f"channel {self._wire.name}: no sender came within {TIMEOUT:.0f} s")
        return self._inlet

    def close(self) -> None:
        """Stops listening."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        with self._room:
            for peer in list(self._examined):
                self._turn_away(peer, "it had not said who it is when listening ended")


def connect(address: Address, wire: Wire, secret: bytes) -> Outlet:
    """The sending end of `wire`, authenticated; `ChannelClosed` if the listener is not ours or not there."""
    if address.transport not in TRANSPORTS:
        raise unknown("transport", address.transport, TRANSPORTS)
    transport = TRANSPORTS[address.transport]
    try:
        peer = transport.connect_socket(address.name, TIMEOUT)
    except OSError as error:
        raise ChannelClosed(f"channel {wire.name}: nobody listens ({error.strerror or error})") from None
    try:
        handshake.connect_side(peer, secret, wire.name)
        return transport.outlet(peer, wire)
    except (handshake.Refused, OSError) as error:
        peer.close()
        raise ChannelClosed(f"channel {wire.name}: {error}") from None
