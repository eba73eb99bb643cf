"""Items from an MQTT broker: each message of a topic is one line, or several.

A message is acknowledged once its lines are on the disk. A broker that has not been answered sends no more than some
(mosquitto: 20), so a queue that is full is felt there. It keeps what is published while a run is down, and gives it to
the run that goes on, since that has the same name.
"""

from __future__ import annotations

import queue
from typing import Any

from pipepita.errors import RunError, UserError
from pipepita.extras import need
from pipepita.live.inbox import Inbox
from pipepita.live.lines import MOST_BYTES
from pipepita.live.source import Complain, Lines

_PORT = 1883
_CONNECT_SECONDS, _LOST_SECONDS = 10.0, 60.0
_AT_LEAST_ONCE = 1


class Topic(Lines):
    """The messages of a topic. address: HOST/TOPIC or HOST:PORT/TOPIC. name: of the run, and of its session there.

    Raises:
        UserError: The address names no topic, the broker cannot be reached or refuses, or paho-mqtt is not installed.
        RunError: In `feed`: there was no connection for a minute.
    """

    def __init__(self, address: str, complain: Complain, name: str) -> None:
        super().__init__(lambda size: b"", complain)
        server, _, self._topic = address.partition("/")
        host, _, port = server.partition(":")
        if not host or not self._topic or (port and not (port.isdecimal() and 0 < int(port) < 1 << 16)):
            raise UserError(f"source mqtt:{address} names no topic: write it like mqtt:10.0.0.5/sensors/1")
        need(f"source mqtt:{address}", "paho")
        from paho.mqtt import client as paho

        self._address = address
        self._arrived: queue.Queue[Any] = queue.Queue()  # no more than the broker sends unanswered; None at the end
        self._there: queue.Queue[str | None] = queue.Queue()  # once connected: None, or what is wrong
        client = self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"pipepita-{name}", clean_session=False, manual_ack=True
        )
        client.on_connect, client.on_message, client.on_subscribe = self._connected, self._message, self._subscribed
        client.connect_timeout = _CONNECT_SECONDS
        try:
            client.connect(host, int(port or _PORT))
            client.loop_start()
            wrong = self._there.get(timeout=_CONNECT_SECONDS)
        except (OSError, queue.Empty) as error:
            client.loop_stop()
            reason = getattr(error, "strerror", None) or str(error) or "no answer"
            raise UserError(f"source mqtt:{address} cannot be reached: {reason}") from None
        if wrong is not None:
            client.loop_stop()
            raise UserError(f"source mqtt:{address}: the broker refuses: {wrong}")

    def feed(self, inbox: Inbox) -> None:
        while True:
            try:
                message = self._arrived.get(timeout=_LOST_SECONDS)
            except queue.Empty:
                if not self._client.is_connected():  # paho has tried to connect again all the time
                    raise RunError(f"source mqtt:{self._address} is lost: no connection for a minute") from None
                continue
            if message is None:
                return
            payload = message.payload
            group = [None] if len(payload) > MOST_BYTES else payload.split(b"\n")
            wanted = self._put(group, inbox)
            self._client.ack(message.mid, message.qos)
            if not wanted:
                return

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._arrived.put(None)

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._there.put(str(reason))
        else:
            client.subscribe(self._topic, qos=_AT_LEAST_ONCE)  # after a lost connection, too

    def _subscribed(self, client: Any, data: Any, mid: int, reasons: list[Any], properties: Any) -> None:
        self._there.put(str(reasons[0]) if reasons[0].is_failure else None)

    def _message(self, client: Any, data: Any, message: Any) -> None:
        self._arrived.put(message)
