"""The channel inside one process: a queue. It passes tensors on without copying them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from torch import Tensor

from pipepita.channels.channel import Message
from pipepita.errors import ChannelClosed


class MemoryChannel:
    """Both ends of a channel in one process and one thread.

    Args:
        pump: Called with this channel while it is empty and someone waits for a message. It must do something towards
            the next message, and return whether it could.
    """

    def __init__(self, pump: Callable[[MemoryChannel], bool] | None = None) -> None:
        self._queue: deque[Message] = deque()
        self._pump = pump

    def __len__(self) -> int:
        return len(self._queue)

    def send(self, kind: str, step: int, tensor: Tensor | None = None) -> None:
        """Queues the tensor itself, not a copy."""
        self._queue.append(Message(kind, step, tensor, time.perf_counter_ns()))

    def receive(self, timeout: float | None = None) -> Message:
        """The next message, for which it calls the pump. Raises `ChannelClosed` if none can come.

        It never waits, so `timeout` has no meaning here.
        """
        while not self._queue:
            if self._pump is None or not self._pump(self):
                raise ChannelClosed("nothing is left to run that could send this message")
        return self._queue.popleft()

    def waiting(self) -> int:
        return len(self._queue)

    def close(self) -> None:
        """Drops the messages in the queue."""
        self._queue.clear()
