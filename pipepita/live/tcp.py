"""Lines from a TCP server."""

from __future__ import annotations

import socket

from pipepita.errors import RunError, UserError
from pipepita.live.inbox import Inbox
from pipepita.live.source import Complain, Lines

_CONNECT_SECONDS = 10.0


class Connection(Lines):
    """Lines from a TCP server, like those of a sensor's gateway. address: HOST:PORT. name: of the run.

    Raises:
        UserError: The address is none, or nobody answers there within ten seconds.
        RunError: In `feed`: the connection is lost.
    """

    def __init__(self, address: str, complain: Complain, name: str) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise UserError(f"source tcp:{address} is no address: write it like tcp:10.0.0.5:9000")
        try:
            self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"source tcp:{address} cannot be reached: {reason}") from None
        self._socket.settimeout(None)
        self._address = address
        super().__init__(self._some, complain)

    def _some(self, size: int) -> bytes:
        try:
            return self._socket.recv(size)
        except OSError as error:
            raise RunError(f"source tcp:{self._address} is lost: {error.strerror or error}") from None

    def feed(self, inbox: Inbox) -> None:
        with self._socket:
            super().feed(inbox)

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended already
            return
