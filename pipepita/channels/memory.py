"""The in-process channel: a queue. Tensors travel by reference."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from torch import Tensor

from pipepita.channels.channel import Message
from pipepita.errors import ChannelClosed


class MemoryChannel:
    """Both ends of a channel in one process and one thread.

    pump: called with this channel while it is empty and someone waits; it must make progress towards the next message,
    and returns whether it did.
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
        """The next message, pumping for it; `ChannelClosed` where nothing can bring one."""
        while not self._queue:
            if self._pump is None or not self._pump(self):
                raise ChannelClosed("nothing is left to run that could send this message")
        return self._queue.popleft()

    def waiting(self) -> int:
        return len(self._queue)

    def close(self) -> None:
        """Drops what is queued."""
        self._queue.clear()
