"""The channel between two hosts: headers and tensors over TCP, into buffers that are allocated once.

A thread reads from the socket into `capacity` buffers, so that a ring of channels cannot deadlock on full sockets.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading

import torch
from torch import Tensor

from pipepita.channels import header
from pipepita.channels.channel import Message, Wire
from pipepita.errors import ChannelClosed, RunError, UserError

# After about this time it is noticed that a host has vanished without closing its connections.
_SILENCE_SECONDS = 2


def open_socket(address: str) -> tuple[socket.socket, str]:
    """A listening socket on `address`, which must be this node's own and not all interfaces; and its "host:port"."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.bind(("" if address == "::" else address, 0))
        host, port = listening.getsockname()
        if host == "0.0.0.0":  # there are several ways to write it; nobody can connect before `listen`
            raise UserError(f"address {address!r} means every network: listen on this node's own, like 127.0.0.1")
    except OSError as error:
        listening.close()
        raise RunError(f"cannot listen on {address!r}: {error.strerror}; is it this node's own?") from None
    except BaseException:
        listening.close()
        raise
    return listening, f"{host}:{port}"


def connect_socket(name: str, timeout: float) -> socket.socket:
    """A socket connected to the listener at `name` ("host:port")."""
    host, _, port = name.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def _prepare(peer: socket.socket) -> None:
    peer.settimeout(None)
    options = {
        (socket.IPPROTO_TCP, "TCP_NODELAY"): 1,
        (socket.SOL_SOCKET, "SO_KEEPALIVE"): 1,
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE"): 1,
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL"): 1,
        (socket.IPPROTO_TCP, "TCP_KEEPCNT"): _SILENCE_SECONDS,
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"): _SILENCE_SECONDS * 1000,
    }
    for (level, option), value in options.items():
        if hasattr(socket, option):  # TCP_USER_TIMEOUT is Linux's
            peer.setsockopt(level, getattr(socket, option), value)


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.numpy()).cast("B")  # type: ignore[arg-type]


class TcpInlet:
    """The receiving end of a TCP channel."""

    def __init__(self, peer: socket.socket, wire: Wire) -> None:
        _prepare(peer)
        self._peer, self._wire = peer, wire
        floats = max(1, wire.slot_bytes // header.FLOAT_BYTES)
        self._buffers = [torch.empty(floats) for _ in range(wire.capacity)]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(wire.capacity):
            self._free.put(slot)
        self._arrived: queue.SimpleQueue[Message | ChannelClosed] = queue.SimpleQueue()
        self._closed = False
        self._reader = threading.Thread(target=self._read, name=f"read {wire.name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while True:
                self._arrived.put(self._next())
        except ChannelClosed as error:
            self._arrived.put(error)
        except OSError as error:
            self._arrived.put(ChannelClosed(f"channel {self._wire.name}: {error.strerror or error}"))

    def _next(self) -> Message:
        head = bytearray(header.SIZE)
        self._fill(memoryview(head))
        kind, step, _, shape, _ = header.unpack(head, self._wire)
        if shape is None:
            return Message(kind, step)
        slot = self._free.get()
        if self._closed:
            raise ChannelClosed(f"channel {self._wire.name}: closed here")
        view = self._buffers[slot][: torch.Size(shape).numel()].view(shape)
        self._fill(_bytes(view))
        return Message(kind, step, view, release=lambda: self._free.put(slot))

    def _fill(self, buffer: memoryview) -> None:
        while buffer:
            count = self._peer.recv_into(buffer)
            if not count:
                raise ChannelClosed(f"channel {self._wire.name}: the sender is gone")
            buffer = buffer[count:]

    def receive(self, timeout: float | None = None) -> Message:
        """The next message. Its tensor is a buffer of the channel until it is released."""
        try:
            message = self._arrived.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(message, ChannelClosed):
            self._arrived.put(message)
            raise message
        return message

    def waiting(self) -> int:
        return self._arrived.qsize()

    def close(self) -> None:
        """Hangs up and ends the thread that reads."""
        self._closed = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._peer, socket.SHUT_RDWR)  # the thread may be inside its TLS
        self._free.put(0)  # the thread may be waiting for a buffer
        self._reader.join()
        self._peer.close()


class TcpOutlet:
    """The sending end of a TCP channel.

    Attributes:
        peer: Its socket.
    """

    def __init__(self, peer: socket.socket, wire: Wire) -> None:
        _prepare(peer)
        self.peer, self._wire = peer, wire

    def send(self, kind: str, step: int, tensor: Tensor | None = None) -> None:
        """Writes the header and the tensor, and blocks while the receiver has no free buffer."""
        try:
            if tensor is None:
                self.peer.sendall(header.pack(self._wire, kind, step, None))
                return
            body = _bytes(tensor.to("cpu", torch.float32).contiguous())
            self._write(header.pack(self._wire, kind, step, tuple(tensor.shape)), body)
        except OSError as error:
            raise ChannelClosed(f"channel {self._wire.name}: {error.strerror or error}") from None

    def _write(self, head: bytes, body: memoryview) -> None:
        self.peer.sendall(head, getattr(socket, "MSG_MORE", 0))  # one packet for both if they are small
        self.peer.sendall(body)

    def gone(self) -> bool:
        """Whether the other end has hung up or cannot be reached. While it lives it sends nothing on this socket."""
        try:
            # of the socket itself: with TLS around it, what comes is neither read nor decrypted here
            return not socket.socket.recv(self.peer, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Hangs up."""
        self.peer.close()
