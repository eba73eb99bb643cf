"""How far a long piece of work is: what it calls meanwhile, and how that ends it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]  # called with (parts done, parts in all, what comes now)


def silent(done: int, total: int, what: str) -> None:
    """A `Progress` that nobody sees."""


def stoppable(progress: Progress, stop: Callable[[], bool]) -> Progress:
    """`progress` for work that does not ask whether to stop: it raises KeyboardInterrupt once `stop` says true.

    Example:
        >>> advance = stoppable(print, lambda: False)
        >>> advance(1, 10, "layer 2")
        1 10 layer 2
    """

    def advance(done: int, total: int, what: str) -> None:
        if stop():
            raise KeyboardInterrupt
        progress(done, total, what)

    return advance
