"""Which transport a wire uses, and how its two ends find and authenticate each other.

listener = Listener("tcp", wire, secret, node_address)   # at the receiving end
outlet   = connect(listener.address, wire, secret)       # at the sending end, given the address
inlet    = listener.inlet()                              # once the sender has proved that it knows the secret

A transport that encrypts also takes the run's identity.
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

from pipepita.channels import handshake, shared_memory, tcp, tls
from pipepita.channels.channel import Inlet, Outlet, Wire
from pipepita.errors import ChannelClosed, unknown

log = logging.getLogger(__name__)
TIMEOUT = 20.0  # seconds to set up a channel; generous, since a loaded machine may be slow to schedule both ends
# Any number of strangers may connect. If another peer waits, the one that has been examined for longest is turned away,
# but not before this time has passed. So the right peer is examined soon, and for long enough.
_EXAMINED_AT_ONCE, _PATIENCE = 64, 0.5
_NAMED = 100  # so many refusals are kept and logged


@dataclass(frozen=True)
class Transport:
    """One way to move messages: how to listen, how to connect, and the two ends; and whether it encrypts."""

    open_socket: Callable[[str], tuple[socket.socket, str]]
    connect_socket: Callable[[str, float], socket.socket]
    inlet: Callable[[socket.socket, Wire], Inlet]
    outlet: Callable[[socket.socket, Wire], Outlet]
    encrypts: bool = False


TRANSPORTS = {
    "shared_memory": Transport(
        shared_memory.open_socket,
        shared_memory.connect_socket,
        shared_memory.SharedMemoryInlet,
        shared_memory.SharedMemoryOutlet,
    ),
    "tcp": Transport(tcp.open_socket, tcp.connect_socket, tcp.TcpInlet, tcp.TcpOutlet),
    "tls": Transport(tcp.open_socket, tcp.connect_socket, tcp.TcpInlet, tls.TlsOutlet, encrypts=True),
}


@dataclass(frozen=True)
class Address:
    """Where a listener can be reached.

    Attributes:
        transport: The name of a transport.
        name: "host:port", or for shared memory the abstract name of a Unix socket.
    """

    transport: str
    name: str


@functools.cache
def host() -> str:
    """A name that is equal for two processes if they can share memory: same kernel, same network namespace."""
    if sys.platform != "linux":
        return f"{socket.gethostname()}-{os.getpid()}"  # no memfd: a host for each process, so TCP
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{os.stat('/proc/self/ns/net').st_ino}"  # noqa: PTH116 (a link whose target is no file)


def choose(source_host: str, target_host: str, *, encrypt: bool = False) -> str:
    """The transport between two ends on these hosts. encrypt: what goes from host to host."""
    if source_host == target_host and sys.platform == "linux":
        return "shared_memory"
    return "tls" if encrypt else "tcp"


class Listener:
    """Waits for the one peer of a wire that knows the secret. Others are turned away and change nothing.

    Args:
        transport: The name of a transport.
        wire: The channel.
        secret: The secret of this run.
        node_address: The address of this node, on which TCP listens.
        identity: What both ends show each other, for a transport that encrypts.

    Attributes:
        address: Where the peer can reach this listener.
        refused: One line per peer that was turned away, with the reason; only the first 100.

    Raises:
        UserError: `node_address` stands for all networks.
        RunError: It cannot listen there.
    """

    def __init__(
        self, transport: str, wire: Wire, secret: bytes, node_address: str, identity: tls.Identity | None = None
    ) -> None:
        self._transport, self._wire, self._secret, self._identity = TRANSPORTS[transport], wire, secret, identity
        self._socket, name = self._transport.open_socket(node_address)
        self._socket.listen()
        self.address = Address(transport, name)
        self.refused: list[str] = []
        self._inlet: Inlet | None = None
        self._joined = threading.Event()
        self._examined: dict[socket.socket, tuple[float, str]] = {}  # since when, and who; in the order of connecting
        self._room = threading.Condition()  # hold it to change any of these
        self._thread = threading.Thread(target=self._wait, name=f"listen {wire.name}", daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        while True:
            try:
                peer, address = self._socket.accept()
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):  # closed here
                    return
                time.sleep(0.01)  # it hung up in the queue, or this process has no free file descriptor at the moment
                continue
            self._admit(peer, f" ({address[0]}:{address[1]})" if isinstance(address, tuple) else "")
            # one thread per peer, so that one that sends nothing does not keep the right one waiting
            threading.Thread(target=self._examine, args=(peer,), name=f"examine {self._wire.name}", daemon=True).start()

    def _admit(self, peer: socket.socket, who: str) -> None:
        """Waits until there is room to examine one more peer."""
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
            peer = self._secured(peer)
            handshake.listen_side(peer, self._secret, self._wire.name)
            with self._room:
                if self._inlet is not None or peer not in self._examined:
                    raise handshake.Refused("the sender is here already")
                self._inlet = self._transport.inlet(peer, self._wire)
                del self._examined[peer]
                self._room.notify()
            self._joined.set()
        except (handshake.Refused, OSError) as error:
            self._turn_away(peer, tls.reason(error) if isinstance(error, OSError) else str(error))
            peer.close()

    def _secured(self, peer: socket.socket) -> socket.socket:
        """The peer with TLS around it, if the transport encrypts. It keeps its place among those that are examined."""
        if not self._transport.encrypts:
            return peer
        assert self._identity is not None
        with self._room:
            secured = tls.secure(peer, self._identity, listens=True)
            self._examined = {secured if one is peer else one: since for one, since in self._examined.items()}
        return secured

    def _turn_away(self, peer: socket.socket, reason: str) -> None:
        """Logs that the peer is turned away, once, and wakes the thread that examines it."""
        with self._room:
            if peer not in self._examined:
                return
            _, who = self._examined.pop(peer)
            self._room.notify()
            with contextlib.suppress(OSError):
                socket.socket.shutdown(peer, socket.SHUT_RDWR)  # its thread may be inside its TLS
            if len(self.refused) < _NAMED:
                self.refused.append(f"channel {self._wire.name} turned a peer away{who}: {reason}")
                log.warning("%s%s", self.refused[-1], "; no more are named" if len(self.refused) == _NAMED else "")

    def inlet(self) -> Inlet:
        """Waits for the peer and returns the receiving end. Raises `ChannelClosed` if it does not come in time."""
        self._joined.wait(TIMEOUT)
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
                self._turn_away(peer, "it had not proved who it is when listening ended")


def connect(address: Address, wire: Wire, secret: bytes, identity: tls.Identity | None = None) -> Outlet:
    """The authenticated sending end of `wire`. Raises `ChannelClosed` if the listener is absent or of another run.

    Raises `UserError` if there is no such transport.
    """
    if address.transport not in TRANSPORTS:
        raise unknown("transport", address.transport, TRANSPORTS)
    transport = TRANSPORTS[address.transport]
    try:
        peer = transport.connect_socket(address.name, TIMEOUT)
    except OSError as error:
        raise ChannelClosed(f"channel {wire.name}: nobody listens ({error.strerror or error})") from None
    try:
        if transport.encrypts:
            assert identity is not None
            peer = tls.secure(peer, identity, listens=False)
        handshake.connect_side(peer, secret, wire.name)
        return transport.outlet(peer, wire)
    except (handshake.Refused, OSError) as error:
        peer.close()
        why = tls.reason(error) if isinstance(error, OSError) else error
        raise ChannelClosed(f"channel {wire.name}: {why}") from None
