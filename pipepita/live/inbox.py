"""The bounded queue between what gives items and the pipeline that takes them. The two are different threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from pipepita.edge.arrivals import POLICIES
from pipepita.errors import UserError, unknown
from pipepita.live.items import Given, Line

Arrived = Given | Line


class Inbox:
    """Holds what has arrived and was not taken yet.

    Args:
        size: How many it holds.
        policy: What happens if something arrives while it is full. "block" lets the source wait, which a pipe or a
            socket can feel; "drop-newest" drops what arrives; "drop-oldest" drops what waited longest.

    Attributes:
        dropped: How many were dropped.
        on_drop: Called with each that is dropped.

    Raises:
        UserError: The policy is unknown, or the size is below 1.
    """

    def __init__(self, size: int, policy: str) -> None:
        if policy not in POLICIES:
            raise unknown("queue policy", policy, POLICIES)
        if size < 1:
            raise UserError(f"queue {size}: it must hold at least 1 item")
        self._size, self._policy = size, policy
        self._held: deque[Arrived] = deque()
        self._lock = threading.Lock()
        self._arrived, self._room = threading.Condition(self._lock), threading.Condition(self._lock)
        self._ended = self._closed = False
        self.dropped = 0
        self.on_drop: Callable[[Arrived], None] = lambda given: None

    def put(self, *arrived: Arrived) -> bool:
        """Adds what has arrived. Returns whether more is wanted."""
        with self._lock:
            for given in arrived:
                if self._policy == "block" and len(self._held) >= self._size and not self._closed:
                    self._arrived.notify()
                    # until half of it is free: two threads that wake each other up for every item would be slow
                    self._room.wait_for(lambda: self._closed or len(self._held) <= self._size // 2)
                if self._closed:
                    return False
                if len(self._held) >= self._size:
                    self.dropped += 1
                    newest = self._policy == "drop-newest"
                    self.on_drop(given if newest else self._held.popleft())
                    if newest:
                        continue
                self._held.append(given)
            self._arrived.notify()
            return True

    def end(self) -> None:
        """Nothing more will arrive."""
        with self._lock:
            self._ended = True
            self._arrived.notify()

    def close(self) -> None:
        """Nothing more is wanted. What is held stays."""
        with self._lock:
            self._closed = True
            self._room.notify()

    def take(self, timeout: float = 0.0) -> Arrived | None:
        """What has waited longest. It waits for it, if need be, for `timeout` seconds; None if nothing came in time."""
        with self._lock:
            if not self._held and timeout:
                self._arrived.wait_for(lambda: self._held or self._ended, timeout)
            return self._pop(1)[0] if self._held else None

    def more(self, most: int) -> list[Arrived]:
        """Up to `most` that wait."""
        with self._lock:
            return self._pop(min(most, len(self._held)))

    def _pop(self, count: int) -> list[Arrived]:
        taken = [self._held.popleft() for _ in range(count)]
        if len(self._held) <= self._size // 2:
            self._room.notify()
        return taken

    def waiting(self) -> int:
        """How many wait."""
        return len(self._held)

    @property
    def over(self) -> bool:
        """Whether nothing waits, and nothing more will arrive."""
        return self._ended and not self._held
