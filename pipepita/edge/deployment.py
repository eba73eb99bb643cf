"""A network on a chain of devices: which device carries which layers, what they cost there, and what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipepita.edge.chain import Chain
from pipepita.edge.trouble import Trouble
from pipepita.schedule.world import Cost


@dataclass(frozen=True)
class Deployment:
    """A network on a chain.

    Attributes:
        parts: The layers of each device.
        costs: Seconds of each layer on its device.
        seed: Of jitter, loss and random troubles.
    """

    chain: Chain
    parts: Sequence[range]
    costs: Sequence[Cost]
    troubles: Sequence[Trouble] = ()
    seed: int = 0
