"""What an online run begins with: what learns, where items wait and results go, and what happened before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from pipepita.live.counts import Counts
from pipepita.live.entry import Entry, Publish
from pipepita.live.feed import no_lines
from pipepita.live.inbox import Inbox
from pipepita.live.items import Given, Line
from pipepita.live.record import Record
from pipepita.rules import Rule
from pipepita.runs.progress import Progress, Resumption
from pipepita.streams.targets import Targets


@dataclass(frozen=True)
class Net:
    """What learns.

    Attributes:
        model: An initialised network, which is trained in place.
    """

    model: nn.Sequential
    item_shape: tuple[int, ...]
    classes: int
    rule: Rule


@dataclass(frozen=True)
class Desk:
    """Where items wait and results go.

    Attributes:
        inbox: Holds what has arrived.
        counts: The run's figures.
        unlabelled: How many items are kept until their labels come.
        publish: Called with the predictions of each sample.
        limit: How many samples are learnt from at most; None for no limit.
        names: The labels that are texts, in the order of their classes, so far.
        record: Writes into the run's folder.
        read: Makes an item of a line.
        targets: What labels are to the network; classes by default.
    """

    inbox: Inbox
    counts: Counts
    publish: Publish
    unlabelled: int = 10_000
    limit: int | None = None
    names: Callable[[], list[str]] = list
    record: Record | None = None
    read: Callable[[Line], Given | None] = no_lines
    targets: Targets | None = None


@dataclass(frozen=True)
class Beginning:
    """Where a run begins.

    Attributes:
        waiting: Items that were predicted before, and wait for their labels.
        published: How many predictions had been made.
        position: The first line that was not used.
        decided: What the order is to repeat, if the schedule adapts.
    """

    resumption: Resumption = field(default_factory=lambda: Resumption(Progress()))
    waiting: Sequence[Entry] = ()
    published: int = 0
    position: int = 0
    decided: Sequence[bool] = ()
