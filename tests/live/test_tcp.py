import socket
import threading

from pipepita.live.inbox import Inbox
from pipepita.live.tcp import Connection


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
    return f"127.0.0.1:{server.getsockname()[1]}", thread


def complain(place, error):
    raise AssertionError(f"{place}: {error}")


def test_lines_come_over_tcp_in_any_pieces():
    address, server = serving(b'{"x": [1, 2], "y": 0}\n3,', b"4,1\nnot", b"hing\n\n5,6")
    inbox = Inbox(10, "block")
    Connection(address, complain, "a run").feed(inbox)
    server.join()
    found = inbox.more(10)
    assert [line.text for line in found] == [b'{"x": [1, 2], "y": 0}', b"3,4,1", b"nothing", b"5,6"]
    assert [line.place for line in found] == [1, 2, 3, 5] and found[0].at <= found[-1].at


def test_closing_ends_a_connection_that_waits():
    done = threading.Event()
    address, server = serving(b"1,2\n", wait=done)
    inbox = Inbox(10, "block")
    source = Connection(address, complain, "a run")
    reading = threading.Thread(target=source.feed, args=(inbox,))
    reading.start()
    assert inbox.take(10.0) is not None
    source.close()
    reading.join(10)
    assert not reading.is_alive()
    done.set()
    server.join()
