"""Processes in which benchmarks measure. They wait on a pipe, cost nothing meanwhile, and end with the block.

with Crew(2) as crew:
    answers = crew.ask(function, [arguments of the first process, arguments of the second], timeout=60)
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pipepita.errors import RunError

_FAREWELL_SECONDS = 2.0  # how long a process may take to end by itself


@contextlib.contextmanager
def spawned(function: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """A fresh process that runs `function(*arguments)`. It is gone when the block ends, in whatever way."""
    process = mp.get_context("spawn").Process(target=function, args=arguments, daemon=True)
    # Ctrl-C goes to every process of the terminal; this one alone answers it, and ends the others
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        process.start()
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
    try:
        yield process
        process.join(_FAREWELL_SECONDS)
    finally:
        process.kill()
        process.join()
        process.close()


class Crew:
    """`size` processes, each of which does one job at a time."""

    def __init__(self, size: int) -> None:
        self._stack = contextlib.ExitStack()
        self._pipes: list[Connection] = []
        try:
            for _ in range(size):
                mine, theirs = mp.get_context("spawn").Pipe()
                self._stack.enter_context(spawned(_serve, theirs))
                theirs.close()  # so that a process that dies is an end of file here
                self._stack.callback(
                    mine.close
                )  # closed before the process is joined, so that the process hears that nothing comes
                self._pipes.append(mine)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def ask(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], timeout: float) -> list[Any]:
        """Runs `function(*arguments[i])` in process i, in all of them at once, and returns their answers.

        `function` must be importable by name. An error in a process, a process that dies, and `timeout` seconds without
        an answer are a `RunError`, after which the crew is of no use.
        """
        for pipe, own in zip(self._pipes, arguments, strict=True):
            with contextlib.suppress(OSError):  # a process that is gone is noticed below
                pipe.send((function, own))
        answers: dict[int, Any] = {}
        deadline = time.monotonic() + timeout
        while len(answers) < len(self._pipes):
            waiting = {pipe: i for i, pipe in enumerate(self._pipes) if i not in answers}
            ready = wait(list(waiting), max(0.0, deadline - time.monotonic()))
            if not ready:
                raise RunError(f"{function.__name__}: process {min(waiting.values())} did not answer in {timeout:g} s")
            for pipe, index in waiting.items():
                if pipe not in ready:
                    continue
                try:
                    answers[index], failure = pipe.recv()
                except (EOFError, OSError):
                    raise RunError(f"{function.__name__}: process {index} died") from None
                if failure is not None:
                    raise RunError(f"{function.__name__}: process {index} failed: {failure}")
        return [answers[i] for i in range(len(self._pipes))]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Ends the processes. Those that wait end by themselves; the others are killed."""
        self._stack.__exit__(kind, error, trace)


def _serve(pipe: Connection) -> None:
    """What a process does: one job and one answer after the other, until the pipe closes."""
    while True:
        try:
            function, arguments = pipe.recv()
        except (EOFError, OSError):  # a reset, if an answer was left unread
            return
        answer, failure = None, None
        try:
            answer = function(*arguments)
        except Exception as error:  # whatever a rival raises
            lines = str(error).strip().splitlines()
            failure = f"{type(error).__name__}: {lines[0] if lines else ''}"
        with contextlib.suppress(OSError):
            pipe.send((answer, failure))
