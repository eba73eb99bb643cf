"""What every channel promises.

Messages arrive in the order of sending. Between processes, memory for `capacity` tensors is allocated beforehand. A
sender that is further ahead than this waits (over TCP only once the sockets are full, too). Tensors arrive contiguous
and aligned to 64 bytes, since a BLAS may pick another kernel for another alignment. If the peer is gone,
`ChannelClosed` is raised at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pipepita.errors import UserError

# the kinds of messages that are not passes of a rule
EVALUATE, END, DONE = "evaluate", "end", "done"
NEXT = NEXT_FIRST, NEXT_SECOND, NEXT_EVALUATE = "next-first", "next-second", "next-evaluate"
CONTROL = (EVALUATE, END, DONE, *NEXT)
BARE = (END, DONE, *NEXT)  # messages of all other kinds hold a tensor
FLOAT_BYTES = 4


def _nothing() -> None:
    return None


@dataclass
class Message:
    """One message.

    Attributes:
        kind: A pass of the rule, or one of `CONTROL`.
        step: The number of the sample that it belongs to.
        tensor: (rows, *item), float32, or None. It may be a view of the channel's own memory, which is valid until
            `release` is called.
        sent: When it was sent, in nanoseconds of this host's monotonic clock; 0 over TCP, whose other end may be a host
            with another clock.
        release: Tells the channel that the tensor is no longer used.
    """

    kind: str
    step: int
    tensor: Tensor | None = None
    sent: int = 0
    release: Callable[[], None] = _nothing


class Outlet(Protocol):
    """The sending end of a channel.

    Example:
        >>> import torch
        >>> from pipepita.channels.memory import MemoryChannel
        >>> channel = MemoryChannel()  # both ends in one
        >>> channel.send("standard", 0, torch.ones(8, 3))
        >>> channel.receive().tensor.shape
        torch.Size([8, 3])
    """

    def send(self, kind: str, step: int, tensor: Tensor | None = None) -> None:
        """Sends one message. One with a tensor may block while the receiver has not released `capacity` others.

        Args:
            kind: What the message is: a pass of the rule, or one of `CONTROL`.
            step: The number of the sample that it belongs to.
            tensor: (rows, *item), float32. It may be changed as soon as this returns (except over a `MemoryChannel`).

        Raises:
            ChannelClosed: The peer is gone.
            RunError: The wire does not carry this kind of message (not over a `MemoryChannel`, which has no wire).
        """

    def close(self) -> None:
        """Tells the peer that nothing more comes. What was sent still arrives."""


class Inlet(Protocol):
    """The receiving end of a channel.

    Example:
        >>> from pipepita.channels.memory import MemoryChannel
        >>> channel = MemoryChannel()  # both ends in one
        >>> channel.send("end", 7)
        >>> channel.waiting(), channel.receive().step
        (1, 7)
    """

    def receive(self, timeout: float | None = None) -> Message:
        """Waits for the next message.

        Args:
            timeout: For how many seconds; None for as long as it takes.

        Returns:
            The message. Call its `release` when its tensor is no longer needed.

        Raises:
            TimeoutError: No message came in time.
            ChannelClosed: The peer is gone, and all that it had sent has been received.
        """

    def waiting(self) -> int:
        """About how many messages have arrived and were not received yet. Any thread may ask."""

    def close(self) -> None:
        """Frees the channel's memory and lets the peer know."""


@dataclass(frozen=True)
class Wire:
    """The description of a channel that is to be opened.

    Attributes:
        name: Its name.
        source: The stage that sends; -1 is the coordinator.
        target: The stage that receives; -1 is the coordinator.
        capacity: How many messages with a tensor it can hold. With 2 x window of them no ring of channels can deadlock:
            the channel to the coordinator never fills up, so the last stage never blocks, so the one before it never
            blocks...
        rows: A tensor has 1 to `rows` rows.
        item: The shape of one row.
        kinds: The kinds of messages that are allowed; all others are refused. In a header a kind is its place in this
            list, which both ends know. So a rule may give its passes any name.
        spin: For how many seconds the receiver looks for a message before it sleeps. This is useful only if a core has
            nothing else to do. Only shared memory does so.

    Raises:
        UserError: A kind occurs twice.
    """

    name: str
    source: int
    target: int
    capacity: int
    rows: int
    item: tuple[int, ...]
    kinds: tuple[str, ...]
    spin: float = 0.0

    def __post_init__(self) -> None:
        twice = [kind for kind in self.kinds if self.kinds.count(kind) > 1]
        if twice:
            raise UserError(
                f"channel {self.name}: kind {twice[0]} occurs twice in {', '.join(self.kinds)}: rename the pass"
            )

    @property
    def slot_bytes(self) -> int:
        """How many bytes the largest tensor has."""
        return self.rows * math.prod(self.item) * FLOAT_BYTES
