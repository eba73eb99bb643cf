"""When a link delivers messages: tc-netem's delay, jitter, rate and loss, one message after the other.

    begin  = max(the link is free, sent)         it carries one message at a time
    free   = begin + bits / rate
    arrives = free + delay +- jitter             never before the message ahead of it: channels are FIFO

On shared air (see `medium`) a message waits for those of other links, too, and takes longer if many want to send.

A message travels in packets. A lost packet is sent again one round trip later, until it arrives (as TCP does with a
fast retransmit). The simulator and the emulation on real actors both use this.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pipepita.edge.devices.profiles import LinkProfile
from pipepita.edge.medium import Medium

PACKET_BYTES = 1448  # the payload of a TCP segment in an Ethernet frame
Window = Callable[[float], float | None]


class Traffic:
    """The messages in one direction of one link, in the order in which they are sent.

    profile: the link; None if sender and receiver are on the same device. seed, name: jitter and loss are drawn from
    them. outage: from a time to when the link works again, or to None if it works then (see `trouble`). air: what it
    shares with other links, and the number of the device that sends.
    """

    def __init__(
        self, profile: LinkProfile | None, seed: int, name: str, outage: Window | None = None,
        air: tuple[Medium, int] | None = None,
    ) -> None:  # fmt: skip
        self.profile, self._outage, self._air = profile, outage, air
        self._draw = random.Random(f"{seed} link {name}")
        self._free = self._last = 0.0

    def arrives(self, sent: float, size: int) -> float:
        """When a message of `size` bytes arrives that is sent at `sent`, both in seconds."""
        link = self.profile
        if link is None:
            return sent
        begin = max(self._free, sent)
        if self._outage is not None:
            while (working := self._outage(begin)) is not None:
                begin = working
        seconds = 8 * size / link.rate
        if self._air is None:
            self._free = begin + seconds
        else:
            medium, sender = self._air
            self._free = medium.carry(sender, begin, seconds)
        repeats = self._repeats(size) if link.loss else 0.0
        jitter = link.jitter * (2 * self._draw.random() - 1) if link.jitter else 0.0
        self._last = max(self._last, self._free + max(0.0, link.delay + jitter) + repeats)
        return self._last

    def _repeats(self, size: int) -> float:
        """How many seconds later the last packet arrives, because packets were lost."""
        link = self.profile
        assert link is not None
        late, left, draw, loss = 0.0, -(-size // PACKET_BYTES), self._draw.random, link.loss
        while left := (draw() < loss) if left == 1 else sum(draw() < loss for _ in range(left)):
            late += 2 * link.delay + 8 * left * min(size, PACKET_BYTES) / link.rate
        return late
