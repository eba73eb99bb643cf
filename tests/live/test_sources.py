import socket
import threading
import time

import pytest
import torch

from pipepita.errors import UserError
from pipepita.live.inbox import Inbox
from pipepita.live.items import Line, Parser
from pipepita.live.sources import Lines, Pairs, check, open_source, reader


def serving(*pieces: bytes, wait: threading.Event | None = None) -> tuple[str, threading.Thread]:
    """A real server on this machine that sends these pieces to whoever connects, and then hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        with server, server.accept()[0] as connection:
            for piece in pieces:
                connection.sendall(piece)
            if wait is not None:
                wait.wait(30)

    thread = threading.Thread(target=serve)
    thread.start()
    return f"tcp:127.0.0.1:{server.getsockname()[1]}", thread


def complain(place, error):
    raise AssertionError(f"{place}: {error}")


def received(inbox: Inbox) -> list[bytes]:
    return [line.text for line in inbox.more(1000)]


def test_lines_come_over_tcp_in_any_pieces():
    address, server = serving(b'{"x": [1, 2], "y": 0}\n3,', b"4,1\nnot", b"hing\n\n5,6")
    inbox = Inbox(10, "block")
    open_source(address, complain).feed(inbox)
    server.join()
    found = inbox.more(10)
    assert [line.text for line in found] == [b'{"x": [1, 2], "y": 0}', b"3,4,1", b"nothing", b"5,6"]
    assert [line.place for line in found] == [1, 2, 3, 5] and found[0].at <= found[-1].at


def test_lines_are_read_and_what_is_of_no_use_is_said():
    complaints = []
    read = reader(Parser((2,), 2), lambda place, error: complaints.append((place, error.kind)))
    assert read(Line(b"3,4,1", 1, 0.5, 7)).number == 7
    assert read(Line(b"nothing", 2, 0.5, 8)) is None
    assert complaints == [(2, "the wrong number of cells")]


def test_closing_ends_a_connection_that_waits():
    done = threading.Event()
    address, server = serving(b"1,2\n", wait=done)
    inbox = Inbox(10, "block")
    source = open_source(address, complain)
    reading = threading.Thread(target=source.feed, args=(inbox,))
    reading.start()
    assert inbox.take(10.0) is not None
    source.close()
    reading.join(10)
    assert not reading.is_alive()
    done.set()
    server.join()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tcp:nowhere", "tcp:nowhere is no address: write it like tcp:10.0.0.5:9000"),
        ("tcp:127.0.0.1:99999", "is no address"),
        ("tcp::80", "is no address"),
        ("tcp:127.0.0.1:1", "source tcp:127.0.0.1:1 cannot be reached"),
        ("-x", "standard input is written -"),
        ("http://a", "unknown source 'http://a': one of -, mqtt:HOST/TOPIC, tcp:HOST:PORT"),
    ],
)
def test_sources_that_there_are_not(text, words):
    with pytest.raises(UserError, match=words):
        open_source(text, complain)
    if text.startswith("http"):
        with pytest.raises(UserError, match=words):
            check(text)


def test_lines_that_are_too_long_are_only_counted():
    told = [0]

    def count(place, error):
        told[0] += 1

    pieces = iter([b"y" * (1 << 20) + b"y\nshort\n"] * 3)
    inbox = Inbox(10, "block")
    Lines(lambda size: next(pieces, b""), count).feed(inbox)
    assert told == [3] and received(inbox) == [b"short"] * 3


def test_pairs_come_at_their_rate_and_can_be_ended():
    inbox = Inbox(100, "block")
    items = [(torch.tensor([float(number)]), number % 2) for number in range(5)]
    began = time.perf_counter()
    Pairs(items, rate=200.0, process="fixed").feed(inbox)
    times = [inbox.take(0.0).at for _ in range(5)]
    assert all(at >= began + 0.005 * (number + 1) for number, at in enumerate(times))  # later perhaps, earlier never
    slow = Pairs(items, rate=0.01)
    waiting = threading.Thread(target=slow.feed, args=(inbox,))
    waiting.start()
    slow.close()
    waiting.join(10)
    assert not waiting.is_alive() and inbox.waiting() == 0
