"""Which channels a pipeline needs, as data.

coordinator --samples--> stage 0 --forward---> stage 1 ... stage n-1 --outputs--> coordinator
                         stage 0 <--backward-- stage 1 ...             if the rule has a backward pass
coordinator --signal---> every stage that holds a layer which reads the error, or the target
every stage --done-----> coordinator, if the schedule waits for updates
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipepita.channels.channel import DONE, END, EVALUATE, Inlet, Wire
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.task import Task
from pipepita.schedule import Schedule
from pipepita.schedule.topology import COORDINATOR, Topology

# what a channel is for; a wire's name begins with it
SAMPLES, FORWARD, BACKWARD, OUTPUTS, SIGNAL, DONES = "samples", "forward", "backward", "outputs", "signal", "done"


@dataclass(frozen=True)
class Plan:
    """A pipeline to be: its stages, its schedule, and the items of its largest sample.

    record: of how many samples, the latest, each stage keeps a timeline; 0 records nothing. watch: seconds between two
    looks at how the stages are; 0: nobody looks.
    """

    stages: Sequence[StageSpec]
    schedule: Schedule
    batch_size: int
    record: int = 0
    watch: float = 0.0

    @property
    def task(self) -> Task:
        """What all stages together train."""
        return self.stages[0].task

    @property
    def topology(self) -> Topology:
        """Who sends what to whom."""
        return self.stages[0].topology

    def inlet(self, source: int, inlet: Inlet) -> Inlet:
        """The receiving end of a channel from `source` as the coordinator reads it: as it is."""
        return inlet

    def begins(self) -> None:
        """Training begins, or goes on."""


def wires(plan: Plan) -> list[Wire]:
    """Every channel of `plan`; named after its kind and its target or source stage."""
    topology, schedule, task = plan.topology, plan.schedule, plan.task
    rule, stages = task.rule, range(len(plan.stages))
    # a receiver keeps what a sample in flight needs until its update: 2 x window messages. One more slot for each pass,
    # so that a sender is rid of what comes next while the receiver is still updating
    enough = 2 * schedule.window + 2
    # the coordinator signals and collects for as many samples as it admits: it must not wait for who waits for it
    admitted = max(enough, schedule.in_flight(len(stages), rule.passes) + 1)

    def wire(name: str, ends: tuple[int, int], item: tuple[int, ...], kinds: tuple[str, ...], rows: int = 1) -> Wire:
        capacity = enough if name.startswith((SAMPLES, FORWARD, BACKWARD, DONES)) else admitted
        return Wire(name, *ends, capacity, rows * plan.batch_size, item, kinds)

    def passes(source: int, target: int) -> tuple[str, ...]:
        return tuple(hop.name for hop in topology.hops if hop[:2] == (source, target))

    last = stages[-1]
    found = [wire(SAMPLES, (COORDINATOR, 0), task.layers[0].item_shape, (*passes(COORDINATOR, 0), EVALUATE, END))]
    items = [stage.layers[-1].out_shape for stage in plan.stages[:-1]]
    for below, item in enumerate(items):
        up = (*passes(below, below + 1), EVALUATE, END)
        found.append(wire(f"{FORWARD}-{below}", (below, below + 1), item, up, rule.rows))
    for below, item in enumerate(items):
        if down := passes(below + 1, below):
            found.append(wire(f"{BACKWARD}-{below}", (below + 1, below), item, down))
    found.append(wire(OUTPUTS, (last, COORDINATOR), (task.classes,), (*passes(last, COORDINATOR), EVALUATE)))
    for stage in stages:
        if told := tuple(name for name in rule.passes if topology.hears(stage, name)):
            found.append(wire(f"{SIGNAL}-{stage}", (COORDINATOR, stage), (task.classes,), told))
        if schedule.waits:
            found.append(wire(f"{DONES}-{stage}", (stage, COORDINATOR), (), (DONE,), 0))
    return found


def kind(wire: Wire) -> str:
    """What the channel is for."""
    return wire.name.partition("-")[0]


def port(wire: Wire, end: int) -> str:
    """Which of its `loop.Ports` stage `end` puts this wire on."""
    arrives = wire.target == end
    return {
        SIGNAL: "signal",
        DONES: "done",
        BACKWARD: "above" if arrives else "below",
    }.get(kind(wire), "upstream" if arrives else "downstream")
