"""Whether the head of a Ray cluster still answers. If it is gone, Ray ends this process after a minute.

Stages and channels do not need the head, so a run goes on until the head counts as lost. New actors, placements and
nodes do need it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from pipepita.errors import RunError

SILENCE_SECONDS = 20.0  # after which the head counts as lost; one that keeps its tables elsewhere may restart meanwhile
_EVERY_SECONDS = 1.0
_CONNECT_SECONDS = 2.0
_LOOK_SECONDS = 0.1


class Head:
    """Watches the head whose control service is at `address`, "host:port", from a thread of its own.

    lost: whether it has taken no connection for `SILENCE_SECONDS`. A lost head stays lost.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.address, self.lost = address, False
        self._where = host.strip("[]"), int(port)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="head", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        heard = time.monotonic()
        while not (self.lost or self._ended.wait(_EVERY_SECONDS)):
            asked = time.monotonic()
            if self._answers():
                heard = time.monotonic()
            else:
                self.lost = asked - heard > SILENCE_SECONDS

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self._where, timeout=_CONNECT_SECONDS):
            return True
        return False

    def wait(self) -> None:
        """Returns once the head takes a connection: without it calls to Ray hang. Raises `error` if it is lost."""
        while not self._answers():
            if self.lost:
                raise self.error()
            time.sleep(_LOOK_SECONDS)

    def error(self) -> RunError:
        """The error to raise if it is lost."""
        return RunError(
            f"the head of the Ray cluster, {self.address}, has not answered for {SILENCE_SECONDS:.0f} s: it has ended "
            "or is out of reach"
        )

    def close(self) -> None:
        """Stops watching."""
        self._ended.set()
        self._thread.join()
