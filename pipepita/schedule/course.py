"""What happened in a pipeline that was simulated in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Arrival(NamedTuple):
    """When something happened, and what the way to it consisted of besides waiting.

    Attributes:
        time: When it happened.
        computed: How much of that time passed with computing.
        travelled: How much of that time passed with messages on their way.
    """

    time: float
    computed: float
    travelled: float


@dataclass
class Course:
    """What happened in a simulation.

    Attributes:
        admitted: When each sample entered.
        outputs: When each sample's output arrived at the coordinator.
        updates: When each sample's last update was done.
        busy: How long each stage worked.
        order: The decisions of a schedule that adapts: whether a sample entered, or else one was answered. Empty if
            there is no second pass, since nothing depends on them then.
    """

    admitted: list[float] = field(default_factory=list)
    outputs: list[Arrival] = field(default_factory=list)
    updates: list[Arrival] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    order: list[bool] = field(default_factory=list)
