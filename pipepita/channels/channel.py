"""What every channel promises.

FIFO; bounded (`capacity` messages, preallocated); tensors arrive contiguous and 64-byte aligned, since a BLAS may pick
another kernel for another alignment; a peer that is gone is `ChannelClosed`, at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pipepita.errors import UserError

# the kinds that are not passes of a rule
EVALUATE, END, DONE = CONTROL = ("evaluate", "end", "done")
BARE = (END, DONE)  # all others bring a tensor
FLOAT_BYTES = 4


def _nothing() -> None:
    return None


@dataclass
class Message:
    """One message. `tensor` may be a view of the channel's own memory: valid until `release` is called.

    sent: when, in nanoseconds of this host's monotonic clock; 0 where that is not known (another host's clock).
    """

    kind: str
    step: int
    tensor: Tensor | None = None
    sent: int = 0
    release: Callable[[], None] = _nothing


class Outlet(Protocol):
    """The sending end."""

    def send(self, kind: str, step: int, tensor: Tensor | None = None) -> None:
        """Copies `tensor` (float32) out; blocks while `capacity` messages are unreleased. `ChannelClosed`."""

    def close(self) -> None:
        """Lets the peer know that nothing more comes; what was sent still arrives."""


class Inlet(Protocol):
    """The receiving end."""

    def receive(self, timeout: float | None = None) -> Message:
        """The next message. `TimeoutError` after `timeout` seconds; `ChannelClosed` when the peer is gone."""

    def waiting(self) -> int:
        """How many messages have come and were not received yet; about, and from any thread."""

    def close(self) -> None:
        """Frees the channel's memory and lets the peer know."""


@dataclass(frozen=True)
class Wire:
    """A channel to be: its name, its ends (stage numbers; -1 is the coordinator), and what it carries.

    rows, item: tensors are (1 to `rows`, *item). kinds: of the messages that belong here; all others are refused. In a
    header a kind is its place among them, which both ends know: so a rule may give its passes any name.
    capacity: messages. 2 x window messages are enough for no ring of channels to deadlock: the outlet to the
    coordinator never fills up, so the last stage never blocks, so the one before it...
    spin: seconds that the receiver keeps looking before it sleeps; only where a core has nothing else to do.
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
            raise UserError(f"channel {self.name}: a pass is called {twice[0]}: its kinds are {', '.join(self.kinds)}")

    @property
    def slot_bytes(self) -> int:
        """Of the largest tensor."""
        return self.rows * math.prod(self.item) * FLOAT_BYTES
