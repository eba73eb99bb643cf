"""Joins the processes of a crew to a gloo process group."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist

from bench.crew import Crew

TIMEOUT = 120.0  # seconds for one operation, including the import of torch; a peer that has died is noticed sooner


@contextlib.contextmanager
def united(crew: Crew, size: int) -> Iterator[None]:
    """The `size` processes of `crew` as ranks of the default group, one thread each, over the loopback interface.

    They meet at a store in this process, on a port that the system chooses: no files, and no race for a port.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    crew.ask(_join, [(rank, size, store.port) for rank in range(size)], TIMEOUT)
    yield
    crew.ask(dist.destroy_process_group, [()] * size, TIMEOUT)


def _join(rank: int, size: int, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # otherwise the host's name decides, which may not resolve
    store = dist.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=TIMEOUT))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=TIMEOUT))
