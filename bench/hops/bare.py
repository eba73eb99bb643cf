"""Hops between two processes by the standard library: shared memory and semaphores, and a pipe."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
from collections.abc import Callable, Iterator
from multiprocessing import shared_memory
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from bench.crew import spawned
from bench.hops.timing import timed


def _slot(memory: shared_memory.SharedMemory, size: int, direction: int) -> np.ndarray:
    """The `size` bytes of `memory` that go in one direction, 0 or 1."""
    assert memory.buf is not None
    return np.frombuffer(memory.buf, np.uint8, size, direction * size)


def _answer_bare(orders: Connection, there: Any, back: Any) -> None:
    """The far side of `bare`, for any number of measurements."""
    with contextlib.suppress(EOFError):
        while True:
            name, size, count = orders.recv()
            memory = shared_memory.SharedMemory(name=name)
            mine, slot = np.ones(size, np.uint8), _slot(memory, size, 1)
            for _ in range(count):
                there.acquire()
                slot[:] = mine
                back.release()
            del slot  # while it exists, the memory cannot be closed
            memory.close()


def _ask_bare(memory: shared_memory.SharedMemory, size: int, count: int, there: Any, back: Any) -> list[float]:
    """The near side: microseconds per hop."""
    mine, slot = np.ones(size, np.uint8), _slot(memory, size, 0)

    def exchange() -> None:
        slot[:] = mine
        there.release()
        back.acquire()

    return timed(exchange, count)


@contextlib.contextmanager
def bare() -> Iterator[Callable[[int, int], list[float]]]:
    """Shared memory and two semaphores: copy in, post, wait. The base of every ratio."""
    context = mp.get_context("spawn")
    orders, theirs = context.Pipe()
    there, back = context.Semaphore(0), context.Semaphore(0)

    def run(size: int, count: int) -> list[float]:
        memory = shared_memory.SharedMemory(create=True, size=2 * size)
        try:
            orders.send((memory.name, size, count))
            times = _ask_bare(memory, size, count, there, back)
            memory.close()
            return times
        finally:
            memory.unlink()

    with spawned(_answer_bare, theirs, there, back), contextlib.closing(orders):
        theirs.close()
        yield run


def _answer_pipe(pipe: Connection) -> None:
    """The far side of `pipe`, for any number of measurements."""
    with contextlib.suppress(EOFError):
        while True:
            size, count = pipe.recv()
            mine, into = torch.ones(size // 4).numpy(), torch.empty(size // 4).numpy()
            for _ in range(count):
                pipe.recv_bytes_into(into)
                pipe.send_bytes(mine.data)


@contextlib.contextmanager
def pipe() -> Iterator[Callable[[int, int], list[float]]]:
    """`multiprocessing.Pipe`: the bytes of a tensor, without pickling, into a tensor that exists already."""
    near, far = mp.get_context("spawn").Pipe()

    def run(size: int, count: int) -> list[float]:
        mine, into = torch.ones(size // 4).numpy(), torch.empty(size // 4).numpy()

        def exchange() -> None:
            near.send_bytes(mine.data)
            near.recv_bytes_into(into)

        near.send((size, count))
        return timed(exchange, count)

    with spawned(_answer_pipe, far), contextlib.closing(near):
        far.close()
        yield run
