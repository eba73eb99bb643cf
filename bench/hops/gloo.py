"""Hops between two processes by `torch.distributed`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist

from bench.crew import Crew
from bench.gloo import TIMEOUT, united
from bench.hops.timing import timed


def _side(size: int, count: int) -> list[float] | None:
    """One side of the ping-pong. Rank 0 takes the time."""
    mine, into = torch.ones(size // 4), torch.empty(size // 4)
    if dist.get_rank() == 0:

        def exchange() -> None:
            dist.send(mine, 1)
            dist.recv(into, 1)

        return timed(exchange, count)
    for _ in range(count):
        dist.recv(into, 0)
        dist.send(mine, 0)
    return None


@contextlib.contextmanager
def gloo() -> Iterator[Callable[[int, int], list[float]]]:
    """`torch.distributed.send` and `recv`, gloo, over the loopback interface."""
    with Crew(2) as crew, united(crew, 2):
        yield lambda size, count: crew.ask(_side, [(size, count)] * 2, TIMEOUT)[0]
