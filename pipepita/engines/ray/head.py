"""Whether a Ray cluster still works, as far as this process can see: its head, and the raylet that we belong to.

Stages and channels do not need the head, so a run goes on until it counts as lost. New actors and placements need both.
If the head is gone, calls to Ray hang, and Ray ends this process after a minute. So nothing may be asked of it then.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from pipepita.errors import ClusterDied, RunError

# After this somebody else's head counts as lost. One that keeps its tables elsewhere may restart meanwhile.
SILENCE_SECONDS = 15.0
_EVERY_SECONDS = 0.5
_CONNECT_SECONDS = 1.0
_LOOK_SECONDS = 0.1


class Head:
    """Watches a cluster from a thread of its own.

    Args:
        address: Of the head's control service, "host:port".
        raylet: The same of the raylet that this process belongs to; "" to leave it out.
        dead: Says which process of an embedded cluster has ended, if any. Then the cluster is lost at once.

    Attributes:
        lost: Whether a process has ended, or one of the two has taken no connection for `SILENCE_SECONDS`. What is lost
            stays lost.
    """

    def __init__(self, address: str, raylet: str = "", dead: Callable[[], str | None] = lambda: None) -> None:
        self.lost, self._dead = False, dead
        named = {f"the head of the Ray cluster, {address},": address, f"the raylet of this host, {raylet},": raylet}
        self._services = {words: _parsed(where) for words, where in named.items() if where}
        self._lost_one = next(iter(self._services))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="head", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        heard = dict.fromkeys(self._services, time.monotonic())
        while not (self.lost or self._ended.wait(_EVERY_SECONDS)):
            self.look()
            for words, where in self._services.items():
                asked = time.monotonic()
                if answers(where):
                    heard[words] = time.monotonic()
                elif asked - heard[words] > SILENCE_SECONDS:
                    self._lost_one, self.lost = words, True

    def look(self) -> bool:
        """Looks whether a process of an embedded cluster has ended. Returns whether the cluster is lost."""
        self.lost = self.lost or self._dead() is not None
        return self.lost

    def wait(self) -> None:
        """Returns once the head takes a connection: without it calls to Ray hang. Raises `error` if it is lost."""
        while self.look() or not answers(next(iter(self._services.values()))):
            if self.lost:
                raise self.error()
            time.sleep(_LOOK_SECONDS)

    def error(self) -> RunError:
        """The error to raise if it is lost."""
        if (name := self._dead()) is not None:
            return ClusterDied(f"the embedded Ray cluster died: its {name} is gone")
        return RunError(
            f"{self._lost_one} has not answered for {SILENCE_SECONDS:.0f} s: it has ended or is out of reach"
        )

    def close(self) -> None:
        """Stops watching."""
        self._ended.set()
        self._thread.join()


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def answers(where: tuple[str, int]) -> bool:
    """Whether somebody takes a connection at this host and port."""
    with contextlib.suppress(OSError), socket.create_connection(where, timeout=_CONNECT_SECONDS):
        return True
    return False
