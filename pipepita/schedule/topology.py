"""Which stage sends which pass to whom, and who waits for what: read by the engines, the recurrence, the simulator.

    coordinator --sample--> stage 0 --standard--> stage 1 ... last stage --output--> coordinator

    flow UP     coordinator --error--> stage 0 --modulated--> stage 1 ... last stage
    flow DOWN   stage 0 <--backward-- stage 1 ... last stage <--error-- coordinator
    flow ALL    coordinator --error--> every stage
    flow NONE   (the target goes out with the sample)

Which stages hear from the coordinator is asked of the rule, layer by layer. Inside a stage, neighbouring layers with
the same window work as one group; a backward pass in flight may part a stage into several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from pipepita.schedule.order import MODULATED, STANDARD, Flow, Group, Schedule

COORDINATOR = -1


class Reads(NamedTuple):
    """What must have come before one layer can make one pass of a sample.

    Attributes:
        upstream: The message of the layer below (at the first layer: the items themselves).
        downstream: The message of the layer above.
        signal: The coordinator's, (B, classes): in the first pass the one-hot target, in the second the error, which is
            the output minus the target.

    Example:
        >>> Reads(upstream=True)
        Reads(upstream=True, downstream=False, signal=False)
    """

    upstream: bool = False
    downstream: bool = False
    signal: bool = False


class Travels(Protocol):
    """How samples travel: what a rule says of its passes."""

    @property
    def passes(self) -> tuple[str, ...]:
        """One or two."""

    @property
    def flow(self) -> Flow:
        """How the second pass travels."""

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """What layer `number` (from 1) of `layers` needs for pass `name`."""


@dataclass(frozen=True)
class Route:
    """A rule's passes and flow without the rule; the error enters where the second pass begins."""

    passes: tuple[str, ...] = (STANDARD, MODULATED)
    flow: Flow = Flow.UP

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """As the flow says."""
        if name == self.passes[0]:
            return Reads(upstream=True)
        begins = number == {Flow.UP: 1, Flow.DOWN: layers}.get(self.flow, number)
        return Reads(
            upstream=self.flow is Flow.UP and not begins,
            downstream=self.flow is Flow.DOWN and not begins,
            signal=begins,
        )


class Hop(NamedTuple):
    """A message of pass `name` from `source` to `target`: stages, or the coordinator."""

    source: int
    target: int
    name: str


class Visit(NamedTuple):
    """One pass through one group of a stage's layers.

    source: who sends what arrives, if it comes from outside the stage. before: the group of this stage that left it,
    if one did. With neither the pass begins here, from the signal alone. hears: whether the coordinator's signal is
    taken from its channel here. signal: whether the group needs it; what one group has heard the next ones share.
    target: who gets what comes out. after: the group of this stage that does. down: whether the pass runs down the
    layers. ends: whether this is the pass's last group in this stage.
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
    """Stages that hold contiguous layers, and what runs between them.

    route: of the rule, or the rule itself. parts: the layers of each stage, by their places from 0, in order.
    """

    route: Travels
    parts: Sequence[range]

    @property
    def total(self) -> int:
        """Layers of all stages."""
        return self.parts[-1].stop

    @property
    def last(self) -> int:
        """The stage that holds the output layer."""
        return len(self.parts) - 1

    def source(self, stage: int, name: str) -> int | None:
        """Who sends `stage` what it works on in pass `name`; None if that is the coordinator's signal alone."""
        part = self.parts[stage]
        if self.down(name):
            return stage + 1 if self._reads(name, part.stop - 1).downstream else None
        # below the first stage is the coordinator
        return stage - 1 if self._reads(name, part.start).upstream else None

    def target(self, stage: int, name: str) -> int | None:
        """Who gets what `stage` sends on in pass `name`; None if it sends nothing."""
        if name == self.route.passes[0]:
            return stage + 1 if stage < self.last else COORDINATOR
        if self.route.flow is Flow.UP:
            return stage + 1 if stage < self.last else None
        return stage - 1 if self.route.flow is Flow.DOWN and stage > 0 else None

    def hears(self, stage: int, name: str) -> bool:
        """Whether the coordinator sends `stage` its signal in pass `name`: the target in the first, else the error."""
        return any(self._reads(name, place).signal for place in self.parts[stage])

    def told(self, name: str) -> list[int]:
        """The stages that hear the coordinator's signal in pass `name`."""
        return [stage for stage in range(len(self.parts)) if self.hears(stage, name)]

    @cached_property
    def hops(self) -> list[Hop]:
        """Every message of a sample, but for the coordinator's signals."""
        first = Hop(COORDINATOR, 0, self.route.passes[0])
        targets = (
            (stage, self.target(stage, name), name) for name in self.route.passes for stage in range(len(self.parts))
        )
        return [first, *(Hop(stage, target, name) for stage, target, name in targets if target is not None)]

    def visits(self, stage: int, schedule: Schedule) -> dict[tuple[str, int], Visit]:
        """What `stage` does, by pass and group, under `schedule`."""
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
