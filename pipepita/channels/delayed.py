"""An emulated link: the receiver of a message waits until it would have arrived. The sender is never held up.

sender    send ............................ send
receiver        |<-- delay of the link -->| has it          in order, one message after the other
"""

from __future__ import annotations

import time
from typing import Protocol

from pipepita.channels import header
from pipepita.channels.channel import END, EVALUATE, Inlet, Message
from pipepita.pipeline.emulation import wait_until


class Delay(Protocol):
    """What a link does to the messages of one wire, in their order; `edge.link.Traffic` is one."""

    def arrives(self, sent: float, size: int) -> float:
        """When `size` bytes, sent at `sent`, arrive; seconds since the run began."""


class DelayedInlet:
    """The receiving end of a channel behind an emulated link. began: when the run did, seconds of the host's clock.

    What is no part of training is not delayed. A message from another host counts from when it came in here.
    """

    def __init__(self, inlet: Inlet, delay: Delay) -> None:
        self._inlet, self._delay = inlet, delay
        self.began = 0.0

    def receive(self, timeout: float | None = None) -> Message:
        """The next message, not before it would have arrived; `sent` is then when it did. As `Inlet.receive`."""
        message = self._inlet.receive(timeout)
        if message.kind in (END, EVALUATE):
            return message
        size = header.SIZE + (0 if message.tensor is None else message.tensor.numel() * header.FLOAT_BYTES)
        sent = message.sent / 1e9 if message.sent else time.perf_counter()
        due = self.began + self._delay.arrives(sent - self.began, size)
        wait_until(due)
        message.sent = round(due * 1e9)
        return message

    def waiting(self) -> int:
        return self._inlet.waiting()

    def close(self) -> None:
        """Closes the channel."""
        self._inlet.close()
