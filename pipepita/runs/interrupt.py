"""Ctrl-C: the first asks for an orderly end, the second ends the run at once. Closing the terminal asks too."""

from __future__ import annotations

import contextlib
import signal
import sys
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """A context in which the first SIGINT, SIGTERM or SIGHUP sets a flag instead of raising. Call it to read the flag.

    Each one after that raises `KeyboardInterrupt`.
    What this process was told to ignore stays ignored: `nohup pipepita train` outlives its terminal.

    words: printed when the first of them comes.
    """

    def __init__(
        self, words: str = "stopping after the samples in flight (press Ctrl-C again to stop at once)"
    ) -> None:
        self._asked, self._words = False, words

    def __call__(self) -> bool:
        return self._asked

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        with contextlib.suppress(OSError):  # the terminal may be closed
            print(self._words, file=sys.stderr)

    def __enter__(self) -> Self:
        heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._on_signal) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
