import io
import random
import tracemalloc

import pytest

from pipepita.live.lines import lines as groups


def lines(*arguments, **options) -> list[bytes | None]:
    return [line for group in groups(*arguments, **options) for line in group]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"", []), (b"a", [b"a"]), (b"a\n", [b"a"]), (b"a\n\nb\r\n", [b"a", b"", b"b"]), (b"\n", [b""])],
)
def test_lines_without_their_ends(text, expected):
    assert lines(io.BytesIO(text).read1) == expected


def test_what_comes_together_stays_together():
    pieces = iter([b"a\nb\nc", b"d", b"\n\n", b""])
    assert list(groups(lambda size: next(pieces))) == [[b"a", b"b"], [b"cd", b""]]


def test_it_does_not_matter_in_which_pieces_they_come():
    draw = random.Random(0)
    whole = [bytes(draw.choices(b"abc", k=draw.randrange(30))) for _ in range(200)]
    stream = io.BytesIO(b"\n".join(whole))
    assert lines(lambda size: stream.read(draw.randrange(1, 9)), most=20) == [
        line if len(line) <= 20 else None for line in whole
    ]


def test_a_line_of_100_mb_is_never_held():
    left = [1600]  # pieces of 64 KiB

    def read(size: int) -> bytes:
        left[0] -= 1
        return b"x" * size if left[0] > 0 else b"\nshort\n" if left[0] == 0 else b""

    tracemalloc.start()
    found = lines(read)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [None, b"short"] and peak < 8e6
