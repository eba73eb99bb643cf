"""The channels that a pipeline needs, as data.

coordinator --samples--> stage 0 --forward---> stage 1 ... stage n-1 --outputs--> coordinator
                         stage 0 <--backward-- stage 1 ...             if the rule has a backward pass
coordinator --signal---> every stage with a layer that needs the error or the target, or that must be told what is next
every stage --done-----> coordinator, if the schedule waits for updates
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipepita.channels.channel import DONE, END, EVALUATE, NEXT_EVALUATE, NEXT_FIRST, NEXT_SECOND, Inlet, Wire
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.task import Task
from pipepita.schedule import Schedule
from pipepita.schedule.topology import COORDINATOR, Topology

# the purpose of a channel; the name of its wire begins with it
SAMPLES, FORWARD, BACKWARD, OUTPUTS, SIGNAL, DONES = "samples", "forward", "backward", "outputs", "signal", "done"


@dataclass(frozen=True)
class Plan:
    """The description of a pipeline that is to be built.

    Attributes:
        stages: What each stage is built from.
        schedule: The order of work.
        batch_size: How many items the largest sample has.
        record: For how many of the latest samples each stage records a timeline; 0 for none.
        watch: How many seconds pass between two looks at the stages' reports; 0 for none.
    """

    stages: Sequence[StageSpec]
    schedule: Schedule
    batch_size: int
    record: int = 0
    watch: float = 0.0

    @property
    def task(self) -> Task:
        """What all stages train together."""
        return self.stages[0].task

    @property
    def topology(self) -> Topology:
        """Which stage sends what to whom."""
        return self.stages[0].topology

    def inlet(self, source: int, inlet: Inlet) -> Inlet:
        """The receiving end of a channel from `source`, as the coordinator uses it. Here it is `inlet` itself."""
        return inlet

    def begins(self) -> None:
        """Called when training begins or continues."""


def wires(plan: Plan) -> list[Wire]:
    """Every channel of `plan`. Its name is "samples" or "outputs", or another purpose and a stage, like "forward-0"."""
    topology, schedule, task = plan.topology, plan.schedule, plan.task
    rule, stages, by_kind = task.rule, range(len(plan.stages)), told(plan)
    # a receiver keeps the messages of the samples in flight until their updates: 2 x window. There is one more slot per
    # pass, so that a sender can send the next message while the receiver is still updating
    enough = 2 * schedule.window + 2
    # the coordinator sends a signal and collects an output for every sample that it has admitted. It must never wait
    # for a free slot, since the stage that could free it may be waiting for the coordinator
    admitted = max(enough, schedule.in_flight(len(stages), rule.passes) + 1)

    def wire(name: str, ends: tuple[int, int], item: tuple[int, ...], kinds: tuple[str, ...], rows: int = 1) -> Wire:
        capacity = enough if name.startswith((SAMPLES, FORWARD, BACKWARD, DONES)) else admitted
        return Wire(name, *ends, capacity, rows * plan.batch_size, item, kinds)

    def passes(source: int, target: int) -> tuple[str, ...]:
        return tuple(hop.name for hop in topology.hops if hop[:2] == (source, target))

    last = stages[-1]
    channels = [wire(SAMPLES, (COORDINATOR, 0), task.layers[0].item_shape, (*passes(COORDINATOR, 0), EVALUATE, END))]
    items = [stage.layers[-1].out_shape for stage in plan.stages[:-1]]
    for below, item in enumerate(items):
        up = (*passes(below, below + 1), EVALUATE, END)
        channels.append(wire(f"{FORWARD}-{below}", (below, below + 1), item, up, rule.rows))
    for below, item in enumerate(items):
        if down := passes(below + 1, below):
            channels.append(wire(f"{BACKWARD}-{below}", (below + 1, below), item, down))
    channels.append(wire(OUTPUTS, (last, COORDINATOR), (task.classes,), (*passes(last, COORDINATOR), EVALUATE)))
    for stage in stages:
        if signals := tuple(name for name, those in by_kind.items() if stage in those):
            channels.append(wire(f"{SIGNAL}-{stage}", (COORDINATOR, stage), (task.classes,), signals))
        if schedule.waits:
            channels.append(wire(f"{DONES}-{stage}", (stage, COORDINATOR), (), (DONE,), 0))
    return channels


def told(plan: Plan) -> dict[str, list[int]]:
    """The stages that get each kind of signal from the coordinator.

    By the name of a pass: the target or the error. If the coordinator decides the order on the way, stages to which no
    signal says what is next are told so, and when the samples end.
    """
    topology, passes = plan.topology, plan.task.rule.passes
    by_kind = {name: topology.told(name) for name in passes}
    heeding = [stage for stage in range(len(plan.stages)) if topology.heeds(stage, plan.schedule)]
    if heeding:
        for next_pass, name in zip((NEXT_FIRST, NEXT_SECOND), passes, strict=True):
            by_kind[next_pass] = [stage for stage in heeding if stage not in by_kind[name]]
        by_kind |= {NEXT_EVALUATE: heeding, END: heeding}
    return by_kind


def kind(wire: Wire) -> str:
    """The purpose of the channel."""
    return wire.name.partition("-")[0]


def port(wire: Wire, end: int) -> str:
    """The name of the port in stage `end`'s `loop.Ports` to which this wire belongs."""
    arrives = wire.target == end
    return {
        SIGNAL: "signal",
        DONES: "done",
        BACKWARD: "above" if arrives else "below",
    }.get(kind(wire), "upstream" if arrives else "downstream")
