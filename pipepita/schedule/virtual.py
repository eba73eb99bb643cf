"""Loops that run in virtual time: they wait for messages, which say themselves when they arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence

from pipepita.errors import RunError

# an `Arrival` as a plain tuple, since there are millions
Message = tuple[float, float, float]


class Port:
    """Where messages arrive, in the order of sending."""

    __slots__ = ("messages", "waiter")

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.waiter: Loop | None = None


Loop = Generator[Port, None, None]


class Loops:
    """Runs loops until all have ended. A loop yields the port that it waits for."""

    def __init__(self) -> None:
        self._ready: list[Loop] = []

    def run(self, loops: Sequence[Loop]) -> None:
        """Runs all of them. Raises `RunError` if some wait for a message that nobody sends."""
        self._ready = [*loops]
        unfinished = len(loops)
        while self._ready:
            one = self._ready.pop()
            port = next(one, None)
            if port is None:
                unfinished -= 1
            else:
                port.waiter = one
        if unfinished:
            raise RunError(f"{unfinished} of the pipeline's loops wait for messages that nobody sends")

    def send(self, port: Port, message: Message) -> None:
        """Sends a message to a port."""
        port.messages.append(message)
        self.wake(port)

    def wake(self, port: Port) -> None:
        """Lets the loop that waits for this port look again."""
        if port.waiter is not None:
            self._ready.append(port.waiter)
            port.waiter = None


def receive(port: Port) -> Generator[Port, None, Message]:
    """Waits for the next message."""
    while not port.messages:
        yield port
    return port.messages.popleft()
