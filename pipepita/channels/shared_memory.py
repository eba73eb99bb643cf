"""The channel between two processes of one host: tensors in shared memory, and headers over a socket as a doorbell.

    sender                 anonymous memory (memfd)            receiver
      copy tensor  ----->  | slot 0 | slot 1 | ... |  ----->   a view, no copy
      header       ----->  Unix socket (SEQPACKET)    ----->   wakes up
      free slots   <-----  the same socket            <-----   slots released, in any order

The memory has no name: its descriptor is sent over the authenticated socket, and the socket's own name is abstract. So
the kernel frees both when the processes end, however they end, and the end of one is an end of file for the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import secrets
import socket
import struct
import sys
import termios
import time

import torch
from torch import Tensor

from pipepita.channels import header
from pipepita.channels.channel import Message, Wire
from pipepita.errors import ChannelClosed

_PAGE = 4096  # slots begin on pages, which are aligned to more than the 64 bytes that channels promise
_SLOT = struct.Struct("<H")
_CREDITS = 4096
_TIMEVAL = struct.Struct("@ll")
_MOST = header.SIZE + 1  # bytes read of a packet: one more than it may have, to notice that it is too long


def open_socket(address: str) -> tuple[socket.socket, str]:
    """A listening socket under a new abstract name, and the name. `address` is not used."""
    name = f"pipepita-{secrets.token_hex(12)}"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(f"\0{name}")
    return listening, name


def connect_socket(name: str, timeout: float) -> socket.socket:
    """A socket connected to the listener called `name`."""
    connecting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # if the listener's queue is full, the kernel lets a blocking socket wait for its turn, but not one with a time-out
    connecting.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(timeout), 0))
    connecting.connect(f"\0{name}")
    connecting.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(0, 0))
    connecting.settimeout(timeout)
    return connecting


class SharedMemoryInlet:
    """The receiving end: owns the memory and hands it to the sender."""

    def __init__(self, peer: socket.socket, wire: Wire) -> None:
        self._peer, self._wire = peer, wire
        self._released: list[int] = []
        stride = _stride(wire)
        memory = os.memfd_create(f"pipepita-{wire.name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(memory, stride * wire.capacity)
            # the process at the other end must not be able to shrink memory that we have mapped
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._slots = _slots(memory, wire)
            socket.send_fds(peer, [b"memory"], [memory])
        finally:
            os.close(memory)
        _prepare(peer)

    def receive(self, timeout: float | None = None) -> Message:
        """The next message. Its tensor is a view of the shared slot until it is released."""
        try:
            data = self._spin() or self._block(timeout)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed(f"channel {self._wire.name}: {error.strerror or error}") from None
        if not data:
            raise ChannelClosed(f"channel {self._wire.name}: the sender is gone")
        kind, step, sent, shape, slot = header.unpack(data, self._wire)
        if shape is None:
            return Message(kind, step, sent=sent)
        count = 1
        for size in shape:
            count *= size
        return Message(kind, step, self._slots[slot][:count].view(shape), sent, lambda: self._release(slot))

    def _spin(self) -> bytes | None:
        """A message that comes within `Wire.spin` seconds: a process that does not sleep need not be woken up."""
        until = time.perf_counter() + self._wire.spin
        while time.perf_counter() < until:
            with contextlib.suppress(BlockingIOError):
                return self._read(socket.MSG_DONTWAIT)
            os.sched_yield()  # another process may need this core, for example the coordinator's
        return None

    def _block(self, timeout: float | None) -> bytes:
        if self._peer.gettimeout() != timeout:
            self._peer.settimeout(timeout)
        return self._read()

    def _read(self, flags: int = 0) -> bytes:
        try:
            return self._peer.recv(_MOST, flags)
        except ConnectionResetError:
            # The sender hung up without having read which slots are free again. What it had sent is still here.
            return self._peer.recv(_MOST, flags)

    def _release(self, slot: int) -> None:
        self._released.append(slot)
        # Never block here: slots that the socket's buffer does not take now are sent with the next release.
        with contextlib.suppress(OSError):
            self._peer.send(b"".join(map(_SLOT.pack, self._released)), socket.MSG_DONTWAIT)
            self._released.clear()

    def waiting(self) -> int:
        with contextlib.suppress(OSError, ValueError):  # closed in the meantime
            unread = fcntl.ioctl(self._peer, termios.FIONREAD, b"\0" * 4)
            return int.from_bytes(unread, sys.byteorder) // header.SIZE
        return 0

    def close(self) -> None:
        """Hangs up. The memory is freed together with the last view of it."""
        self._peer.close()
        self._slots = []


class SharedMemoryOutlet:
    """The sending end."""

    def __init__(self, peer: socket.socket, wire: Wire) -> None:
        self._peer, self._wire = peer, wire
        _, memories, _, _ = socket.recv_fds(peer, 16, 1)
        if not memories:
            raise OSError("the receiver hung up before it handed out its memory")
        (memory,) = memories
        try:
            if os.fstat(memory).st_size < _stride(wire) * wire.capacity:
                raise OSError("the receiver's memory is too small for this wire")
            self._slots = _slots(memory, wire)
        finally:
            os.close(memory)
        self._free = list(range(wire.capacity))
        _prepare(peer)

    def send(self, kind: str, step: int, tensor: Tensor | None = None) -> None:
        """Copies `tensor` into a free slot and sends its header."""
        try:
            if tensor is None:
                self._peer.send(header.pack(self._wire, kind, step, None))
                return
            slot, shape = self._acquire(), tuple(tensor.shape)
            self._slots[slot][: tensor.numel()].view(shape).copy_(tensor)
            self._peer.send(header.pack(self._wire, kind, step, shape, slot))
        except OSError as error:
            raise ChannelClosed(f"channel {self._wire.name}: {error.strerror or error}") from None

    def _acquire(self) -> int:
        if not self._free:
            credits = self._peer.recv(_CREDITS)
            if not credits:
                raise ChannelClosed(f"channel {self._wire.name}: the receiver is gone")
            if len(credits) % _SLOT.size:
                raise ChannelClosed(f"channel {self._wire.name}: {len(credits)} bytes came, which list no free slots")
            self._free = [slot for (slot,) in _SLOT.iter_unpack(credits)]
            if max(self._free) >= self._wire.capacity:
                last = self._wire.capacity - 1
                raise ChannelClosed(
                    f"channel {self._wire.name}: slot {max(self._free)} came back: the last one is {last}"
                )
        return self._free.pop()

    def close(self) -> None:
        """Hangs up."""
        self._peer.close()
        self._slots = []


def _prepare(peer: socket.socket) -> None:
    """Asks the kernel for a large buffer: some hundred headers fit, on which `schedule.MAX_WINDOW` is based."""
    peer.settimeout(None)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)


def _stride(wire: Wire) -> int:
    return max(_PAGE, -(-wire.slot_bytes // _PAGE) * _PAGE)


def _slots(memory: int, wire: Wire) -> list[Tensor]:
    """The slots as flat float32 tensors over the mapped memory."""
    stride = _stride(wire)
    mapped = mmap.mmap(memory, stride * wire.capacity, flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0))
    everything = torch.frombuffer(mapped, dtype=torch.float32)
    return list(everything.split(stride // header.FLOAT_BYTES))
