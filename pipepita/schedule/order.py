"""The order in which passes enter the pipeline. Pure Python: no torch, no Ray, no clock.

    locked, relaxed   S0 M0 S1 M1 S2 M2 ...          (locked also waits for every update before S(t+1))
    streaming, K = 2  S0 S1 M0 S2 M1 S3 M2 ...
    streaming, K = 3  S0 S1 S2 M0 S3 M1 S4 M2 ...
    adaptive, K = 3   up to K samples in flight, as they arrive: see `schedule.decisions`

Channels are first in, first out. So if the second pass travels up the layers or goes to all at once, each layer works
in the order in which the coordinator sends. A backward pass comes from above, and a layer at the top makes it before
one at the bottom. Hence the window falls from K at the first of L layers to ceil(K / L) at the last. With one stage per
layer and K up to L, this is the order called 1F1B.

    layer 1 (K = 3)   S0 S1 S2 B0 S3 B1 ...
    layer 2           S0 S1 B0 S2 B1 ...
    layer 3           S0 B0 S1 B1 ...

The engines, the clock diagram and the simulator all use the order that is defined here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import NamedTuple

from pipepita.errors import UserError, unknown

STANDARD, MODULATED, BACKWARD, BROADCAST = "standard", "modulated", "backward", "broadcast"


class Flow(StrEnum):
    """How a sample's second pass travels.

    Attributes:
        UP: From the first layer to the last, like PEPITA's modulated pass.
        DOWN: From the last layer to the first, like a backward pass.
        ALL: To all layers at once, like a broadcast error.
        NONE: There is no second pass.

    Example:
        >>> Flow("up")
        <Flow.UP: 'up'>
    """

    UP = "up"
    DOWN = "down"
    ALL = "all"
    NONE = "none"


class Action(NamedTuple):
    """One pass of one sample. It prints as `S3`, `M3` or `B3`.

    Attributes:
        name: The name of the pass.
        step: The sample's number.
        part: Which group of the stage's layers makes it (see `Schedule.groups`).

    Example:
        >>> str(Action("modulated", 3))
        'M3'
    """

    name: str
    step: int
    part: int = 0

    def __str__(self) -> str:
        return f"{self.name[0].upper()}{self.step}"


class Group(NamedTuple):
    """Neighbouring layers of a stage that have the same window.

    Attributes:
        start: The place of the first layer in the network, from 0.
        stop: The place after the last layer.
        window: How many samples may be in flight at these layers.

    Example:
        >>> streaming(2).groups(range(3), total=3, flow=Flow.DOWN)
        [Group(start=0, stop=2, window=2), Group(start=2, stop=3, window=1)]
    """

    start: int
    stop: int
    window: int


@dataclass(frozen=True)
class Schedule:
    """When the next sample may enter the pipeline.

    Attributes:
        name: The schedule's name.
        window: How many samples may be in flight. A standard pass then uses weights that lack window - 1 updates. (With
            a backward pass that is so at the first layer, and the window falls from there. Without a second pass no
            update is lacking.)
        waits: Whether the coordinator admits the next sample only when every layer has applied the last update.
        adapts: Whether the coordinator decides the order as samples arrive. All stages then work in its order.

    Example:
        >>> from itertools import islice
        >>> [str(action) for action in islice(streaming(2).actions(), 6)]
        ['S0', 'S1', 'M0', 'S2', 'M1', 'S3']
    """

    name: str
    window: int = 1
    waits: bool = False
    adapts: bool = False

    def actions(
        self,
        first: int = 0,
        passes: tuple[str, ...] = (STANDARD, MODULATED),
        windows: Sequence[int] = (),
    ) -> Actions:
        """The order of the passes of a run.

        Args:
            first: The number of its first sample.
            passes: The names of the rule's one or two passes.
            windows: The windows of the `groups` of a stage. By default there is one, as for the coordinator.
        """
        return Actions(windows or [self.window], first, passes)

    def groups(self, layers: Sequence[int], total: int, flow: Flow) -> list[Group]:
        """Groups the layers of a stage by window; `layers` are their places in a network of `total` layers."""
        groups: list[Group] = []
        for place in layers:
            window = self.window if flow is not Flow.DOWN or self.adapts else -(-self.window * (total - place) // total)
            if groups and groups[-1].window == window:
                groups[-1] = groups[-1]._replace(stop=place + 1)
            else:
                groups.append(Group(place, place + 1, window))
        return groups

    def in_flight(self, stages: int, passes: tuple[str, ...]) -> int:
        """How many samples the coordinator admits before it waits for an output.

        Without a second pass no weights are ever stale, so the number only has to keep every stage and channel busy.
        """
        return self.window if len(passes) > 1 or self.waits else min(2 * (stages + 1), 2 * MAX_WINDOW)


class Actions:
    """An endless order of actions, which is ended once the last sample is known.

    It consists of rounds. In a round each group of layers, beginning with the top one, makes the first pass of a sample
    and the second pass of an earlier one; its window says how much earlier. The top group comes first because what a
    group leaves for the one above it in one round is used in the next.

    Call `end(step)` when `step`'s first pass is due and there is no such sample. Then only the second passes of the
    samples before it remain.

    Args:
        windows: The window of each group of layers, from the bottom one.
        first: The number of the first sample.
        passes: The names of the rule's one or two passes.

    Example:
        >>> order, done = relaxed().actions(), []
        >>> for action in order:
        ...     if action == ("standard", 2, 0):  # there are two samples
        ...         order.end(2)
        ...     else:
        ...         done.append(str(action))
        >>> done
        ['S0', 'M0', 'S1', 'M1']
    """

    def __init__(self, windows: Sequence[int], first: int, passes: tuple[str, ...]) -> None:
        self._windows, self._first, self._passes = windows, first, passes
        self._end: int | None = None

    def end(self, step: int) -> None:
        """There is no sample from `step` on."""
        self._end = step

    def _ended(self, step: int) -> bool:
        return self._end is not None and step >= self._end

    def __iter__(self) -> Iterator[Action]:
        admit, *answers = self._passes
        ahead = max(self._windows) - 1
        for answered in count(self._first - ahead):
            if self._ended(answered if answers else answered + ahead):
                return
            for part, window in reversed(list(enumerate(self._windows))):
                step = answered + window - 1
                if step >= self._first and not self._ended(step):
                    yield Action(admit, step, part)
                if answers and answered >= self._first and not self._ended(answered):
                    yield Action(answers[0], answered, part)


def locked() -> Schedule:
    """Layer-sequential training, the baseline: sample t + 1 enters when sample t is done at every layer."""
    return Schedule("locked", waits=True)


def relaxed() -> Schedule:
    """Sample t + 1 follows right behind the second pass of sample t: the same weights as `locked`, bit for bit."""
    return Schedule("relaxed")


def streaming(window: int) -> Schedule:
    """`window` samples are in flight, so standard passes use weights that lack updates: see `Schedule.window`."""
    return Schedule("streaming", window)


def adaptive(window: int) -> Schedule:
    """Up to `window` samples are in flight while samples wait; if none waits, those in flight are finished at once."""
    return Schedule("adaptive", window, adapts=True)


# More samples in flight would overfill the sockets that wake the stages (2 x window messages each), and no pipeline is
# deep enough to use them.
MAX_WINDOW = 128

FIXED = ("locked", "relaxed", "streaming")  # whose order does not depend on when samples arrive
SCHEDULES = (*FIXED, "adaptive")


def make(name: str, layers: int, window: int | None = None, flow: Flow = Flow.UP, most: int = MAX_WINDOW) -> Schedule:
    """Makes the schedule called `name`.

    Args:
        name: One of `SCHEDULES`.
        layers: How many layers the network has.
        window: How many samples may be in flight, for streaming and adaptive. The default is the smallest window that
            fills the pipeline: ceil((layers + 1) / 2) and at least 2; for a backward pass, the number of layers; and 1
            if there is no second pass.
        flow: How the second pass travels.
        most: The largest window that is chosen by default.

    Raises:
        UserError: The name is unknown, the window is below 1 or above `MAX_WINDOW`, or it is above 1 for a schedule
            that has one sample in flight.

    Example:
        >>> make("streaming", layers=8).window, make("streaming", layers=8, flow=Flow.DOWN, most=4).window
        (5, 4)
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    if window is not None and window < 1:
        raise UserError(f"window {window} is below 1: it is the number of samples that may be in flight")
    if window is not None and window > MAX_WINDOW:
        raise UserError(f"window {window} is above {MAX_WINDOW}, the most samples that may be in flight")
    if name in ("streaming", "adaptive"):
        chosen = window if window is not None else min(most, MAX_WINDOW, _filling(layers, flow))
        return streaming(chosen) if name == "streaming" else adaptive(chosen)
    if window not in (None, 1):
        raise UserError(f"window {window} needs --schedule streaming or adaptive: {name} has one sample in flight")
    return locked() if name == "locked" else relaxed()


def _filling(layers: int, flow: Flow) -> int:
    """The smallest window that fills the pipeline."""
    if flow is Flow.NONE:
        return 1
    return max(2, layers if flow is Flow.DOWN else (layers + 2) // 2)
