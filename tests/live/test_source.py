from pipepita.live.inbox import Inbox
from pipepita.live.items import Line, Parser
from pipepita.live.source import Lines, reader


def test_lines_are_read_and_what_is_of_no_use_is_said():
    complaints = []
    read = reader(Parser((2,), 2), lambda place, error: complaints.append((place, error.kind)))
    assert read(Line(b"3,4,1", 1, 0.5, 7)).number == 7
    assert read(Line(b"nothing", 2, 0.5, 8)) is None
    assert complaints == [(2, "neither JSON nor cells of CSV")]


def test_lines_that_are_too_long_are_only_counted():
    told = [0]

    def count(place, error):
        told[0] += 1

    pieces = iter([b"y" * (1 << 20) + b"y\nshort\n"] * 3)
    inbox = Inbox(10, "block")
    Lines(lambda size: next(pieces, b""), count).feed(inbox)
    assert told == [3] and [line.text for line in inbox.more(9)] == [b"short"] * 3
