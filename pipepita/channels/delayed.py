"""An emulated link: the receiver of a message waits until it would have arrived. The sender is never held up.

sender    send ............................ send
receiver        |<-- delay of the link -->| has it          in order, one message after the other
"""

from __future__ import annotations

import time
from typing import Protocol

from pipepita.channels import header
from pipepita.channels.channel import END, EVALUATE, Inlet, Message

# A sleeper wakes late, and cold: it sleeps until shortly before and spins for the rest.
SPIN_SECONDS = 0.0003


class Delay(Protocol):
    """What a link does to the messages of one wire, in their order; `edge.link.Traffic` is one."""

    def arrives(self, sent: float, size: int) -> float:
        """When `size` bytes, sent at `sent`, arrive; seconds since the run began."""


class Origin:
    """When a run began, seconds of this host's monotonic clock; 0 before it has."""

    def __init__(self, began: float = 0.0) -> None:
        self.began = began

    def begins(self) -> None:
        """Now, unless it has begun already."""
        self.began = self.began or time.perf_counter()


class DelayedInlet:
    """The receiving end of a channel behind an emulated link. origin: what the link counts its time from.

    What is no part of training is not delayed. A message from another host counts from when it came in here.
    """

    def __init__(self, inlet: Inlet, delay: Delay, origin: Origin) -> None:
        self._inlet, self._delay, self._origin = inlet, delay, origin

    def receive(self, timeout: float | None = None) -> Message:
        """The next message, not before it would have arrived; `sent` is then when it did. As `Inlet.receive`."""
        message = self._inlet.receive(timeout)
        if message.kind in (END, EVALUATE):
            return message
        size = header.SIZE + (0 if message.tensor is None else message.tensor.numel() * header.FLOAT_BYTES)
        sent, began = message.sent / 1e9 if message.sent else time.perf_counter(), self._origin.began
        due = began + self._delay.arrives(sent - began, size)
        wait_until(due)
        message.sent = round(due * 1e9)
        return message

    def waiting(self) -> int:
        return self._inlet.waiting()

    def close(self) -> None:
        """Closes the channel."""
        self._inlet.close()


def wait_until(due: float) -> float:
    """Waits until `due`, seconds of this host's monotonic clock; how much too late it is then."""
    left = due - time.perf_counter() - SPIN_SECONDS
    if left > 0:
        time.sleep(left)
    while (now := time.perf_counter()) < due:
        pass
    return now - due
