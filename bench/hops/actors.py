"""Hops between Ray actors: over our channels, by ordinary calls, and in a Compiled Graph."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
import torch

from bench.hops.timing import timed
from pipepita.channels import handshake, tls
from pipepita.channels.channel import Wire
from pipepita.channels.transports import Listener, connect
from pipepita.schedule import STANDARD

Run = Callable[[int, int], list[float]]
_SHARED = Path("/dev/shm")
_SECONDS = 10.0  # how long one execution of a compiled graph may take
_TEARDOWN_SECONDS = 3  # how long its actors may take to stop


class Peer:
    """An actor with one channel in and one out."""

    def listen(self, transport: str, wire: Wire, secret: bytes, identity: tls.Identity) -> Any:
        """Begins to listen, and returns the address."""
        self.listener = Listener(transport, wire, secret, "127.0.0.1", identity)
        return self.listener.address

    def connect(self, address: Any, wire: Wire, secret: bytes, identity: tls.Identity) -> None:
        """Connects the channel out."""
        self.out = connect(address, wire, secret, identity)

    def ready(self) -> None:
        """Waits until the channel in is connected."""
        self.inlet = self.listener.inlet()

    def answer(self, size: int, count: int) -> None:
        """The far side of a ping-pong."""
        tensor = torch.ones(size // 4)
        for step in range(count):
            self.inlet.receive().release()
            self.out.send(STANDARD, step, tensor)

    def ask(self, size: int, count: int) -> list[float]:
        """The near side of a ping-pong: microseconds per hop."""
        tensor = torch.ones(size // 4)

        def exchange() -> None:
            self.out.send(STANDARD, 0, tensor)
            self.inlet.receive().release()

        return timed(exchange, count)

    def echo(self, tensor: torch.Tensor) -> torch.Tensor:
        """Returns what it is given, for ordinary calls and compiled graphs."""
        return tensor


def peers(count: int, cpus: int) -> list[Any]:
    """`count` actors that reserve `cpus` each."""
    return [ray.remote(Peer).options(num_cpus=cpus).remote() for _ in range(count)]


def channel(transport: str, actors: list[Any]) -> Run:
    """Our channels between two actors over `transport`."""

    def run(size: int, count: int) -> list[float]:
        known = handshake.new_secret(), tls.new_identity()
        wires = [Wire(f"hop-{i}", i, 1 - i, 4, rows=size // 4, item=(), kinds=(STANDARD,)) for i in range(2)]
        addresses = ray.get([actors[1 - i].listen.remote(transport, wires[i], *known) for i in range(2)])
        ray.get([actors[i].connect.remote(addresses[i], wires[i], *known) for i in range(2)])
        ray.get([actor.ready.remote() for actor in actors])
        far = actors[1].answer.remote(size, count)
        times = ray.get(actors[0].ask.remote(size, count))
        ray.get(far)
        return times

    return run


def actor_call(actors: list[Any]) -> Run:
    """An ordinary Ray actor call with a tensor, there and back."""

    def run(size: int, count: int) -> list[float]:
        tensor = torch.ones(size // 4)
        return timed(lambda: ray.get(actors[0].echo.remote(tensor)), count // 20)

    return run


@contextlib.contextmanager
def semaphores_removed() -> Iterator[None]:
    """Removes the named semaphores that Compiled Graphs leave behind, once the Ray that made them has ended."""
    before = set(_SHARED.glob("sem.*"))
    yield
    for path in set(_SHARED.glob("sem.*")) - before:
        made = re.match(r"sem\.(?:hdr|obj)(\d+)-", path.name)  # by which process
        if made and not Path("/proc", made[1]).exists():
            path.unlink(missing_ok=True)


def compiled_graph(size: int, count: int) -> list[float]:
    """A Ray Compiled Graph: this process -> an actor -> another actor -> this process, so three hops.

    Whatever Ray raises is passed on. Each call takes fresh actors and ends them: idle actors of a compiled graph keep
    half a core busy each, and tearing a graph down without ending its actors sometimes hangs.
    """
    from ray.dag import DAGContext, InputNode

    DAGContext.get_current().teardown_timeout = _TEARDOWN_SECONDS
    first, second = peers(2, cpus=0)
    with InputNode() as tensor:
        ends = second.echo.bind(first.echo.bind(tensor))
    graph = ends.experimental_compile(_submit_timeout=_SECONDS, _buffer_size_bytes=size + 65536)
    items = torch.ones(size // 4)
    try:
        return timed(lambda: ray.get(graph.execute(items), timeout=_SECONDS), count // 20, hops=3)
    finally:
        graph.teardown(kill_actors=True)
