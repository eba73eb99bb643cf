"""Which stage sends which pass to whom, and which messages it waits for.

    coordinator --sample--> stage 0 --standard--> stage 1 ... last stage --output--> coordinator

    flow UP     coordinator --error--> stage 0 --modulated--> stage 1 ... last stage
    flow DOWN   stage 0 <--backward-- stage 1 ... last stage <--error-- coordinator
    flow ALL    coordinator --error--> every stage
    flow NONE   (the target goes out with the sample)

The rule says for each layer whether it needs the coordinator's signal. If the coordinator decides the order on the way,
a stage whose messages come from two sides must be told which is next. Inside a stage, neighbouring layers with the
same window work as one group. For a backward pass with samples in flight, a stage may consist of several groups. The
engines and the simulator all use the topology that is defined here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from pipepita.schedule.order import MODULATED, STANDARD, Flow, Group, Schedule

COORDINATOR = -1


class Reads(NamedTuple):
    """Which messages one layer needs before it can make one pass of a sample.

    Attributes:
        upstream: Whether it needs the message of the layer below (at the first layer: the items themselves).
        downstream: Whether it needs the message of the layer above.
        signal: Whether it needs the coordinator's signal, (B, classes), float32: in the first pass the target (one-hot,
            or the numbers to be predicted), in the second pass the error, which is the output minus the target.

    Example:
        >>> Reads(upstream=True)
        Reads(upstream=True, downstream=False, signal=False)
    """

    upstream: bool = False
    downstream: bool = False
    signal: bool = False


class Travels(Protocol):
    """What a rule says about its passes, from which the topology and the simulator are made. Every `Rule` is one.

    Example:
        >>> route = Route()  # the simplest one, for tests and diagrams
        >>> route.passes, route.flow
        (('standard', 'modulated'), <Flow.UP: 'up'>)
        >>> [route.reads("modulated", number, layers=2) for number in (1, 2)]
        [Reads(upstream=False, downstream=False, signal=True), Reads(upstream=True, downstream=False, signal=False)]
    """

    @property
    def passes(self) -> tuple[str, ...]:
        """The names of the one or two passes of a sample, in order."""

    @property
    def flow(self) -> Flow:
        """How the second pass travels."""

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """What a layer needs for a pass.

        Args:
            name: One of `passes`.
            number: The layer's place in the network, from 1.
            layers: How many layers the network has, including the output layer.

        Returns:
            Which messages must have arrived.
        """


@dataclass(frozen=True)
class Route:
    """Passes and flow without a rule. The error enters where the second pass begins."""

    passes: tuple[str, ...] = (STANDARD, MODULATED)
    flow: Flow = Flow.UP

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """What follows from the flow."""
        if name == self.passes[0]:
            return Reads(upstream=True)
        begins = number == {Flow.UP: 1, Flow.DOWN: layers}.get(self.flow, number)
        return Reads(
            upstream=self.flow is Flow.UP and not begins,
            downstream=self.flow is Flow.DOWN and not begins,
            signal=begins,
        )


class Hop(NamedTuple):
    """A message of pass `name` from `source` to `target`. Both are stages or the coordinator."""

    source: int
    target: int
    name: str


class Visit(NamedTuple):
    """One pass through one group of a stage's layers.

    If both `source` and `before` are None, the pass begins here: from the signal alone, or if the signal is not needed
    either, from what the first pass left.

    Attributes:
        group: The layers.
        source: Who sends the message that the pass starts from, if it comes from outside the stage.
        before: The group of this stage that computed what the pass starts from, if one did.
        hears: Whether the coordinator's signal is received here. Later groups of the stage share it.
        signal: Whether the group needs the signal.
        target: Who gets the result, if it leaves the stage.
        after: The group of this stage that gets the result, if one does.
        down: Whether the pass runs down the layers.
        ends: Whether this is the last group of the stage that the pass goes through.
    """

    group: Group
    source: int | None
    before: int | None
    hears: bool
    signal: bool
    target: int | None
    after: int | None
    down: bool
    ends: bool


@dataclass(frozen=True)
class Topology:
    """Stages that hold contiguous layers, and the messages between them.

    Attributes:
        route: The rule, or what it says about its passes.
        parts: The layers of each stage in order, by their places in the network, from 0.
    """

    route: Travels
    parts: Sequence[range]

    @property
    def total(self) -> int:
        """How many layers all stages together hold."""
        return self.parts[-1].stop

    @property
    def last(self) -> int:
        """The stage that holds the output layer."""
        return len(self.parts) - 1

    def source(self, stage: int, name: str) -> int | None:
        """Who sends `stage` the message that pass `name` starts from: a stage or `COORDINATOR`.

        None if there is no such message: the pass starts from the signal, or from what the first pass left.
        """
        part = self.parts[stage]
        if self.down(name):
            return stage + 1 if self._reads(name, part.stop - 1).downstream else None
        # below the first stage is the coordinator
        return stage - 1 if self._reads(name, part.start).upstream else None

    def target(self, stage: int, name: str) -> int | None:
        """Who gets the result of pass `name` from `stage`; None if nobody does."""
        if name == self.route.passes[0]:
            return stage + 1 if stage < self.last else COORDINATOR
        if self.route.flow is Flow.UP:
            return stage + 1 if stage < self.last else None
        return stage - 1 if self.route.flow is Flow.DOWN and stage > 0 else None

    def hears(self, stage: int, name: str) -> bool:
        """Whether `stage` gets the coordinator's signal in pass `name`: target in the first pass, else error."""
        return any(self._reads(name, place).signal for place in self.parts[stage])

    def heeds(self, stage: int, schedule: Schedule) -> bool:
        """Whether the coordinator tells `stage` what is next, since the order of its messages from below does not."""
        return schedule.adapts and any(self.source(stage, name) != stage - 1 for name in self.route.passes)

    def told(self, name: str) -> list[int]:
        """The stages that get the coordinator's signal in pass `name`."""
        return [stage for stage in range(len(self.parts)) if self.hears(stage, name)]

    @cached_property
    def hops(self) -> list[Hop]:
        """Every message of a sample, except the coordinator's signals."""
        first = Hop(COORDINATOR, 0, self.route.passes[0])
        targets = (
            (stage, self.target(stage, name), name) for name in self.route.passes for stage in range(len(self.parts))
        )
        return [first, *(Hop(stage, target, name) for stage, target, name in targets if target is not None)]

    def visits(self, stage: int, schedule: Schedule) -> dict[tuple[str, int], Visit]:
        """What `stage` does under `schedule`, by pass and number of the group."""
        groups = schedule.groups(self.parts[stage], self.total, self.route.flow)
        return {
            (name, number): self._visit(stage, name, groups, number)
            for name in self.route.passes
            for number in range(len(groups))
        }

    def _visit(self, stage: int, name: str, groups: Sequence[Group], number: int) -> Visit:
        down, top = self.down(name), len(groups) - 1
        entrance = number == (top if down else 0)
        back, onward = (number + 1, number - 1) if down else (number - 1, number + 1)
        group, ends = groups[number], not 0 <= onward <= top
        sends_inside = not ends and (name == self.route.passes[0] or self.route.flow in (Flow.UP, Flow.DOWN))
        wants = [self._reads(name, place) for place in range(group.start, group.stop)]
        arrives = wants[-1].downstream if down else wants[0].upstream
        return Visit(
            group,
            source=self.source(stage, name) if entrance else None,
            before=back if arrives and not entrance else None,
            hears=entrance and self.hears(stage, name),
            signal=any(want.signal for want in wants),
            target=self.target(stage, name) if ends else None,
            after=onward if sends_inside else None,
            down=down,
            ends=ends,
        )

    def down(self, name: str) -> bool:
        """Whether pass `name` runs down the layers."""
        return name != self.route.passes[0] and self.route.flow is Flow.DOWN

    def _reads(self, name: str, place: int) -> Reads:
        return self.route.reads(name, place + 1, self.total)
