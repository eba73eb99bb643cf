"""`python -m bench.hops`: a hop between two Ray actors over our channels, next to bare shared memory and a semaphore.

A hop is half a ping-pong: one side writes a tensor where the other can read it and wakes it. All ping-pongs run in the
same pair of processes a kind, in turn, over several rounds.
"""

from __future__ import annotations

import multiprocessing as mp
import statistics
import time
from collections.abc import Callable
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import ray
import torch

from pipepita.channels import handshake
from pipepita.channels.channel import Wire
from pipepita.channels.transports import Listener, connect
from pipepita.engines.cluster import Cluster
from pipepita.schedule import STANDARD

SIZES = {"1 KB": 1 << 10, "64 KB": 1 << 16, "256 KB": 1 << 18, "1 MB": 1 << 20}


def _answer(name: str, size: int, there: Any, back: Any, hops: int) -> None:
    """The far side of the bare ping-pong."""
    memory = shared_memory.SharedMemory(name=name)
    mine = np.ones(size, np.uint8)
    slots = [np.frombuffer(memory.buf, np.uint8, size, offset) for offset in (0, size)]
    for _ in range(hops):
        there.acquire()
        slots[1][:] = mine
        back.release()
    del slots
    memory.close()


def bare(size: int, hops: int) -> list[float]:
    """Shared memory and two semaphores: copy in, post, wait. Microseconds a hop."""
    context = mp.get_context("spawn")
    memory = shared_memory.SharedMemory(create=True, size=2 * size)
    there, back = context.Semaphore(0), context.Semaphore(0)
    peer = context.Process(target=_answer, args=(memory.name, size, there, back, hops))
    peer.start()
    slot, mine, times = np.frombuffer(memory.buf, np.uint8, size), np.ones(size, np.uint8), []
    for _ in range(hops):
        began = time.perf_counter()
        slot[:] = mine
        there.release()
        back.acquire()
        times.append(1e6 * (time.perf_counter() - began) / 2)
    peer.join()
    del slot
    memory.close()
    memory.unlink()
    return times[hops // 4 :]


class Peer:
    """An actor with one channel in and one out."""

    def listen(self, transport: str, wire: Wire, secret: bytes) -> Any:
        """Begins to listen; the address."""
        self.listener = Listener(transport, wire, secret, "127.0.0.1")
        return self.listener.address

    def connect(self, address: Any, wire: Wire, secret: bytes) -> None:
        """Connects the way out."""
        self.out = connect(address, wire, secret)

    def ready(self) -> None:
        """Waits for the way in."""
        self.inlet = self.listener.inlet()

    def answer(self, size: int, hops: int) -> None:
        """The far side."""
        tensor = torch.ones(size // 4)
        for step in range(hops):
            self.inlet.receive().release()
            self.out.send(STANDARD, step, tensor)

    def ask(self, size: int, hops: int) -> list[float]:
        """The near side: microseconds a hop."""
        tensor, times = torch.ones(size // 4), []
        for step in range(hops):
            began = time.perf_counter()
            self.out.send(STANDARD, step, tensor)
            self.inlet.receive().release()
            times.append(1e6 * (time.perf_counter() - began) / 2)
        return times[hops // 4 :]

    def echo(self, tensor: torch.Tensor) -> torch.Tensor:
        """An ordinary actor call, for comparison."""
        return tensor


def channel(transport: str, actors: list[Any]) -> Callable[[int, int], list[float]]:
    """Hops between two actors over `transport`."""

    def run(size: int, hops: int) -> list[float]:
        secret = handshake.new_secret()
        wires = [Wire(f"hop-{i}", i, 1 - i, 4, size) for i in range(2)]
        addresses = ray.get([actors[1 - i].listen.remote(transport, wires[i], secret) for i in range(2)])
        ray.get([actors[i].connect.remote(addresses[i], wires[i], secret) for i in range(2)])
        ray.get([actor.ready.remote() for actor in actors])
        far = actors[1].answer.remote(size, hops)
        times = ray.get(actors[0].ask.remote(size, hops))
        ray.get(far)
        return times

    return run


def actor_call(actors: list[Any]) -> Callable[[int, int], list[float]]:
    """An ordinary Ray actor call with a tensor, there and back."""

    def run(size: int, hops: int) -> list[float]:
        tensor, times = torch.ones(size // 4), []
        for _ in range(hops // 20):
            began = time.perf_counter()
            ray.get(actors[0].echo.remote(tensor))
            times.append(1e6 * (time.perf_counter() - began) / 2)
        return times[hops // 80 :]

    return run


def measure(quick: bool) -> list[dict[str, Any]]:
    """A row a size and kind of hop."""
    count, hops = (2, 400) if quick else (5, 2000)
    cluster = Cluster(None, 2, 0)
    try:
        actors = [ray.remote(Peer).options(num_cpus=1).remote() for _ in range(2)]
        kinds: dict[str, Callable[[int, int], list[float]]] = {
            "bare": bare,
            "shared_memory": channel("shared_memory", actors),
            "tcp": channel("tcp", actors),
            "actor call": actor_call(actors),
        }
        rows = []
        for name, size in SIZES.items():
            rounds: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
            for _ in range(count):
                for kind, run in kinds.items():
                    rounds[kind].append(run(size, hops))
            bases = [statistics.median(times) for times in rounds["bare"]]
            for kind, several in rounds.items():
                every = [t for times in several for t in times]
                rows.append(
                    {
                        "size": name,
                        "hop": kind,
                        "p50, us": float(np.percentile(every, 50)),
                        "p99, us": float(np.percentile(every, 99)),
                        "p50 / bare": statistics.median(
                            statistics.median(t) / b for t, b in zip(several, bases, strict=True)
                        ),
                    }
                )
        return rows
    finally:
        cluster.close()
