"""An emulated link: the receiver of a message waits until it would have arrived. The sender never waits.

sender    send ............................ send
receiver        |<-- delay of the link -->| gets it         in order, one message after the other
"""

from __future__ import annotations

import time
from typing import Protocol

from pipepita.channels import header
from pipepita.channels.channel import END, EVALUATE, Inlet, Message

# A process that sleeps wakes up late, and with cold caches. So it sleeps until shortly before, and spins after that.
SPIN_SECONDS = 0.0003


class Delay(Protocol):
    """How long a link delays the messages of one wire. `edge.link.Traffic` is one.

    Example:
        >>> class Constant:  # 5 ms for every message
        ...     def arrives(self, sent, size):
        ...         return sent + 0.005
        >>> from pipepita.channels.memory import MemoryChannel
        >>> channel = MemoryChannel()
        >>> inlet = DelayedInlet(channel, Constant(), Origin())
        >>> channel.send("standard", 0)
        >>> inlet.receive().step  # 5 ms later
        0
    """

    def arrives(self, sent: float, size: int) -> float:
        """When a message arrives. It is called once per message, in the order of sending.

        Args:
            sent: When it was sent, in seconds since the run began.
            size: How many bytes it has, including its header.

        Returns:
            When it arrives, in seconds since the run began.
        """


class Origin:
    """When a run began.

    Attributes:
        began: Seconds of this host's monotonic clock; 0 before the run begins.
    """

    def __init__(self, began: float = 0.0) -> None:
        self.began = began

    def begins(self) -> None:
        """The run begins now, unless it has begun already."""
        self.began = self.began or time.perf_counter()


class DelayedInlet:
    """The receiving end of a channel behind an emulated link.

    Only messages of the training are delayed. The delay of a message from another host begins when it arrives here.

    Args:
        inlet: The receiving end itself.
        delay: What the link does to the messages.
        origin: When the run began, from which the link counts its time.
    """

    def __init__(self, inlet: Inlet, delay: Delay, origin: Origin) -> None:
        self._inlet, self._delay, self._origin = inlet, delay, origin

    def receive(self, timeout: float | None = None) -> Message:
        """As `Inlet.receive`, but not before the message would have arrived; its `sent` is the time of arrival."""
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
    """Waits until `due`, seconds of this host's monotonic clock. Returns by how many seconds it is late."""
    left = due - time.perf_counter() - SPIN_SECONDS
    if left > 0:
        time.sleep(left)
    while (now := time.perf_counter()) < due:
        pass
    return now - due
