"""Lines of a file, a pipe or a socket, one after the other, however long they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

MOST_BYTES = 1 << 20  # of one line; what is longer is skipped, and never held as a whole
_CHUNK = 1 << 16


def lines(read: Callable[[int], bytes], most: int = MOST_BYTES) -> Iterator[list[bytes | None]]:
    """The lines without their ends, in groups that came together. None stands for one of more than `most` bytes.

    Args:
        read: Returns at least one byte and at most as many as it is asked for; none at the end.
        most: The longest line.

    Example:
        >>> import io
        >>> list(lines(io.BytesIO(b"1,2\\n3,4\\r\\n\\n5").read1))
        [[b'1,2', b'3,4', b''], [b'5']]
    """
    held, skipping = b"", False
    while chunk := read(_CHUNK):
        *whole, rest = chunk.split(b"\n")
        group: list[bytes | None] = []
        for line in whole:
            line, held = held + line, b""
            group.append(None if skipping or len(line) > most else line.removesuffix(b"\r"))
            skipping = False
        if group:
            yield group
        if not skipping:
            held += rest
            if len(held) > most:
                held, skipping = b"", True
    if held or skipping:
        yield [None if skipping else held]
