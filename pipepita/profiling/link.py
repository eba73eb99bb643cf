"""Delay, jitter, rate and loss between two hosts of a Ray cluster, through the channels that stages use.

one end                         other end
    small message           ->
                            <-  small message           a round trip: twice the delay
    large message           ->
                            <-  small message           so much longer, because it takes long to send
"""

from __future__ import annotations

import socket
import statistics
import struct
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipepita.channels import handshake, tls
from pipepita.channels.channel import Wire
from pipepita.channels.tcp import TcpOutlet
from pipepita.channels.transports import TRANSPORTS, Listener, choose, connect, host
from pipepita.engines.ray.cluster import Cluster, load_ray
from pipepita.engines.ray.placement import Placement
from pipepita.pipeline.stage import compute_mode
from pipepita.schedule import STANDARD

_SMALL, _LARGE = 16, 1 << 18  # numbers in a message: 64 bytes, 1 MB
_SECONDS = 8.0  # for each kind of message
_MOST_SMALL, _MOST_LARGE = 1000, 60
# of the quantiles of a round trip whose two delays are each spread evenly by +- jitter
_QUARTILES_PER_JITTER = 4 * (1 - 0.5**0.5)
_TOTAL_RETRANSMITTED, _SEGMENTS_SENT = 100, 136  # where Linux's tcp_info has these counts


@dataclass(frozen=True)
class Link:
    """A link.

    Attributes:
        delay, jitter: Seconds one way.
        rate: Bits per second.
        loss: The share of segments that were sent again; None if nobody counts them.
        transport: What carried the messages.
    """

    delay: float
    jitter: float
    rate: float
    loss: float | None
    transport: str

    def table(self, name: str) -> str:
        """The link as a file of profiles holds it."""
        here = f"measured by pipepita profile, over {self.transport}"
        rows = [
            f"[links.{name}]",
            f'title = "{name}, measured"',
            f'delay = {{value = "{1e6 * self.delay:.4g}us", source = "{here}"}}',
            f'jitter = "{1e6 * self.jitter:.4g}us"',
            f'rate = "{self.rate / 1e6:.4g}mbit"',
        ]
        rows.append("# loss: nothing counts it" if self.loss is None else f'loss = "{100 * self.loss:.3g}%"')
        return "\n".join(rows) + "\n"


class End:
    """One end, which is a Ray actor."""

    def where(self) -> tuple[str, str]:
        """The host, and the address of its node."""
        return host(), load_ray().util.get_node_ip_address()

    def listen(self, transport: str, wire: Wire, secret: bytes, identity: tls.Identity | None) -> Any:
        """Begins to listen, and returns the address."""
        self._listener = Listener(transport, wire, secret, load_ray().util.get_node_ip_address(), identity)
        return self._listener.address

    def connect(self, address: Any, wire: Wire, secret: bytes, identity: tls.Identity | None) -> None:
        """Connects the channel out."""
        self._out = connect(address, wire, secret, identity)

    def ready(self) -> None:
        """Waits until the channel in is connected."""
        self._inlet = self._listener.inlet()

    def answer(self) -> None:
        """Answers each message with a small one, until one says that it is the last."""
        small = torch.zeros(_SMALL)
        with compute_mode(1):
            while True:
                message = self._inlet.receive()
                last = message.step
                message.release()
                self._out.send(STANDARD, 0, small)
                if last:
                    return

    def ask(self) -> tuple[list[float], list[float], float | None]:
        """Seconds of round trips with small messages, and with large ones there; and the share that was sent again."""
        with compute_mode(1):
            small = self._round_trips(torch.zeros(_SMALL), _MOST_SMALL)
            large = self._round_trips(torch.zeros(_LARGE), _MOST_LARGE, last=True)
        return small, large, _sent_again(self._out)

    def _round_trips(self, tensor: torch.Tensor, most: int, last: bool = False) -> list[float]:
        times: list[float] = []
        end = time.perf_counter() + _SECONDS
        while len(times) < most and (time.perf_counter() < end or len(times) < 5):
            began = time.perf_counter()
            self._out.send(STANDARD, 0, tensor)
            self._inlet.receive().release()
            times.append(time.perf_counter() - began)
        self._out.send(STANDARD, int(last), tensor[:1])
        self._inlet.receive().release()
        return times[len(times) // 10 :]


def _sent_again(outlet: object) -> float | None:
    """The share of TCP segments that were sent again."""
    if not isinstance(outlet, TcpOutlet) or not hasattr(socket, "TCP_INFO"):
        return None
    info = outlet.peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < _SEGMENTS_SENT + 4:
        return None
    again, sent = (struct.unpack_from("I", info, place)[0] for place in (_TOTAL_RETRANSMITTED, _SEGMENTS_SENT))
    return again / sent if sent else 0.0


def measure(there: str, *, address: str | None, here: str | None = None, encrypt: bool = True) -> Link:
    """The link from this node (or `here`) to the node `there` of a Ray cluster. It takes less than half a minute.

    Args:
        there: The node's address, name or id.
        address: Of the cluster; None for one that is started here, which has only this node.
        here: Another node than this one.
        encrypt: Whether the messages are encrypted, as `online` does it.

    Raises:
        UserError: There is no such cluster or node.
        ChannelClosed: The two cannot reach each other.
    """
    cluster = Cluster(address, 2, 0)
    ray, placement, ends = load_ray(), None, list[Any]()
    try:
        here = here or ray.util.get_node_ip_address()
        placement = Placement(f"{here},{there}", 2, {"CPU": 1.0}, "two ends need 2 CPUs")
        ends = [
            ray.remote(End).options(num_cpus=1, scheduling_strategy=placement.strategy(index)).remote()
            for index in range(2)
        ]
        (one, _), (other, _) = ray.get([end.where.remote() for end in ends])
        transport = choose(one, other, encrypt=encrypt)
        identity = tls.new_identity() if TRANSPORTS[transport].encrypts else None
        known = handshake.new_secret(), identity
        wires = [Wire(f"link-{index}", index, 1 - index, 4, _LARGE, (), (STANDARD,)) for index in range(2)]
        addresses = ray.get([ends[1 - index].listen.remote(transport, wires[index], *known) for index in range(2)])
        ray.get([ends[index].connect.remote(addresses[index], wires[index], *known) for index in range(2)])
        ray.get([end.ready.remote() for end in ends])
        answering = ends[1].answer.remote()
        small, large, loss = ray.get(ends[0].ask.remote())
        ray.get(answering)
    finally:
        for end in ends:
            ray.kill(end)
        if placement is not None:
            placement.close()
        cluster.close()
    return explained(small, large, loss, transport)


def explained(small: list[float], large: list[float], loss: float | None, transport: str) -> Link:
    """The link of which these are the round trips, in seconds."""
    first, trip, third = (float(value) for value in np.percentile(small, (25, 50, 75)))
    longer = max(statistics.median(large) - trip, 1e-9)
    rate = 32 * (_LARGE - _SMALL) / longer
    return Link(trip / 2, (third - first) / _QUARTILES_PER_JITTER, rate, loss, transport)
