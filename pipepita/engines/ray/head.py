"""Whether the head of a Ray cluster is there: without it Ray ends this process after a minute, in words of its own.

Stages and channels do not need it, so that a run goes on until it counts as lost; new actors, places and nodes do.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from pipepita.errors import RunError

SILENCE_SECONDS = 20.0  # a head that keeps its tables elsewhere may be started again meanwhile
_EVERY_SECONDS = 1.0
_CONNECT_SECONDS = 2.0
_LOOK_SECONDS = 0.1


class Head:
    """Watches the head whose control service is at `address`, "host:port", from a thread of its own.

    lost: whether it has not taken a connection for `SILENCE_SECONDS`; once lost it stays so.
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
        """Returns once it takes a connection: a call that needs it would hang. Raises `error` once it is lost."""
        while not self._answers():
            if self.lost:
                raise self.error()
            time.sleep(_LOOK_SECONDS)

    def error(self) -> RunError:
        """What to raise once it is lost."""
        return RunError(
            f"the head of the Ray cluster, {self.address}, has not answered for {SILENCE_SECONDS:.0f} s: it has ended "
            "or is out of reach"
        )

    def close(self) -> None:
        """Stops watching."""
        self._ended.set()
        self._thread.join()
