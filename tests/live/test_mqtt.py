"""Items from a real broker."""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import paho.mqtt.client as paho
import paho.mqtt.publish as publish
import pytest
from amqtt.broker import Broker

from pipepita.errors import UserError
from pipepita.live.inbox import Inbox
from pipepita.live.journal import Journal, read
from pipepita.live.mqtt import Topic
from pipepita.live.source import Lines
from pipepita.live.sources import open_source


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")


@pytest.fixture
def port() -> Iterator[int]:
    """Of a broker on this machine: mosquitto if it is installed, else one written in Python."""
    port = free_port()
    with mosquitto(port) if MOSQUITTO else amqtt(port):
        yield port


@contextmanager
def mosquitto(port: int) -> Iterator[None]:
    broker = subprocess.Popen([str(MOSQUITTO), "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline and broker.poll() is None
            time.sleep(0.02)
    yield
    broker.terminate()
    broker.wait(20)


@contextmanager
def amqtt(port: int) -> Iterator[None]:
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }

    async def serve() -> None:
        broker = Broker(config)
        await broker.start()
        ready.set()
        await done.wait()
        await broker.shutdown()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    yield
    loop.call_soon_threadsafe(done.set)
    thread.join(20)
    loop.close()


def opened(port: int):
    return open_source(f"mqtt:127.0.0.1:{port}/sensors/one", lambda place, error: None, "a run")


def say(port: int, *payloads: str) -> None:
    messages = [("sensors/one", payload, 1, False) for payload in payloads]
    publish.multiple(messages, "127.0.0.1", port, protocol=paho.MQTTv311)


def taken(inbox: Inbox, count: int) -> list[bytes]:
    return [inbox.take(20.0).text for _ in range(count)]


@pytest.mark.slow
def test_each_message_is_a_line_or_several(port, tmp_path):
    source, inbox = opened(port), Inbox(100, "block")
    journal = source.journal = Journal(tmp_path)
    thread = threading.Thread(target=source.feed, args=(inbox,))
    thread.start()
    say(port, '{"x": [1, 2], "y": 0}', "3,4,1\n5,6", "", "7,8,2")
    expected = [b'{"x": [1, 2], "y": 0}', b"3,4,1", b"5,6", b"7,8,2"]
    assert taken(inbox, 4) == expected
    source.close()
    thread.join(20)
    assert not thread.is_alive() and [*read(tmp_path).values()] == expected
    journal.close()


@pytest.mark.slow
@pytest.mark.skipif(not MOSQUITTO, reason="amqtt keeps nothing for a client that is away: apt-get install mosquitto")
def test_what_is_published_while_a_run_is_down_comes_when_it_is_back(port):
    source = opened(port)
    source.close()
    say(port, "1,2,0", "3,4,1")
    again, inbox = opened(port), Inbox(100, "block")
    thread = threading.Thread(target=again.feed, args=(inbox,))
    thread.start()
    assert taken(inbox, 2) == [b"1,2,0", b"3,4,1"]
    again.close()
    thread.join(20)


@pytest.mark.parametrize("address", ["", "host", "/topic", "host:x/topic", "host:99999/topic"])
def test_addresses_that_name_no_topic(address):
    with pytest.raises(UserError, match="names no topic: write it like mqtt:10.0.0.5/sensors/1"):
        open_source(f"mqtt:{address}", lambda place, error: None)


def test_a_broker_that_is_not_there():
    with pytest.raises(UserError, match=r"source mqtt:127.0.0.1:\d+/sensors/one cannot be reached"):
        opened(free_port())


def test_a_message_is_answered_once_its_lines_are_kept():
    """So a broker sends it again to a run that died before that."""
    inbox, answered = Inbox(9, "block"), []
    topic = Topic.__new__(Topic)
    Lines.__init__(topic, lambda size: b"", print)
    topic._client = SimpleNamespace(ack=lambda mid, qos: answered.append((mid, qos, inbox.waiting())))
    topic._arrived = queue.Queue()
    for message in (SimpleNamespace(payload=b"1\n2", mid=7, qos=1), SimpleNamespace(payload=b"3", mid=8, qos=1), None):
        topic._arrived.put(message)
    topic.feed(inbox)
    assert answered == [(7, 1, 2), (8, 1, 3)]
