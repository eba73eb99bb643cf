"""Which channels a pipeline needs, as data.

coordinator --samples--> stage 0 --forward---> stage 1 ... stage n-1 --outputs--> coordinator
                         stage 0 <--backward-- stage 1 ...             where the rule has a backward pass
coordinator --signal---> every stage that holds a layer which reads the error, or the target
every stage --done-----> coordinator, where the schedule waits for updates
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipepita.channels import channel
from pipepita.channels.channel import END, EVALUATE, Wire
from pipepita.channels.delayed import Delay
from pipepita.pipeline.stage import StageSpec
from pipepita.schedule import Flow, Schedule

COORDINATOR = -1
# the ports of `loop.Ports`
UPSTREAM, DOWNSTREAM, ABOVE, BELOW, SIGNAL, DONE = "upstream", "downstream", "above", "below", "signal", "done"
_BACKWARD = "backward"


@dataclass(frozen=True)
class Plan:
    """A pipeline to be: its stages, its schedule, and the items of its largest sample.

    record: of how many samples, the latest, each stage keeps a timeline; 0 records nothing. delays: what emulated links
    do to messages, by (source, target). watch: seconds between two looks at how the stages are; 0: nobody looks.
    """

    stages: list[StageSpec]
    schedule: Schedule
    batch_size: int
    record: int = 0
    delays: Mapping[tuple[int, int], Delay] = field(default_factory=dict)
    watch: float = 0.0


def wires(plan: Plan) -> list[Wire]:
    """Every channel of `plan`; named after its kind and its target or source stage."""
    stages, schedule = plan.stages, plan.schedule
    last = len(stages) - 1

    # a receiver keeps what a sample in flight needs until its update: 2 x window messages. One more slot for each pass,
    # so that a sender is rid of what comes next while the receiver is still updating
    enough = 2 * schedule.window + 2
    # the coordinator signals and collects for as many samples as it admits: it must not wait for who waits for it
    admitted = schedule.in_flight(len(stages), stages[0].rule.passes) + 1

    def wire(
        name: str, source: int, target: int, kinds: tuple[str, ...], item: tuple[int, ...],
        *, rows: int = 1, capacity: int = enough,
    ) -> Wire:  # fmt: skip
        delay = plan.delays.get((source, target))
        return Wire(name, source, target, capacity, rows * plan.batch_size, item, kinds, delay=delay)

    rule, classes, layers = stages[0].rule, stages[0].classes, stages[0].layers
    admit, answer = rule.passes[0], rule.passes[-1]
    up = (admit, answer, EVALUATE, END) if rule.flow is Flow.UP else (admit, EVALUATE, END)
    found = [wire("samples", COORDINATOR, 0, (admit, EVALUATE, END), layers[0].item_shape)]
    found += [
        wire(f"forward-{index}", index, index + 1, up, stage.layers[-1].out_shape, rows=rule.rows)
        for index, stage in enumerate(stages[:-1])
    ]
    if rule.flow is Flow.DOWN:
        found += [
            wire(f"{_BACKWARD}-{index}", index + 1, index, (answer,), stage.layers[-1].out_shape)
            for index, stage in enumerate(stages[:-1])
        ]
    found.append(wire("outputs", last, COORDINATOR, (admit, EVALUATE), (classes,), capacity=max(enough, admitted)))
    for index, stage in enumerate(stages):
        told = tuple(name for name in rule.passes if signalled(stage, name))
        if told:
            found.append(
                wire(f"{SIGNAL}-{index}", COORDINATOR, index, told, (classes,), capacity=max(enough, admitted))
            )
        if schedule.waits:
            found.append(wire(f"done-{index}", index, COORDINATOR, (channel.DONE,), (), rows=0))
    return found


def signalled(stage: StageSpec, name: str) -> bool:
    """Whether the coordinator sends `stage` its signal in pass `name`: the target in the first, the error later."""
    return any(stage.rule.reads(name, layer.number, stage.total).signal for layer in stage.layers)


def signals(plan: Plan) -> dict[str, list[str]]:
    """The wires that the coordinator sends its signal on, by pass."""
    passes = plan.stages[0].rule.passes
    return {
        name: [f"{SIGNAL}-{index}" for index, stage in enumerate(plan.stages) if signalled(stage, name)]
        for name in passes
    }


def mirrors(plan: Plan) -> bool:
    """Whether the rule of `plan` keeps its feedback aligned with the weights."""
    return bool(getattr(plan.stages[0].rule, "mirror", 0))


def port(wire: Wire, end: int) -> str:
    """Which of its ports stage `end` puts this wire on."""
    kind = wire.name.partition("-")[0]
    if kind in (SIGNAL, DONE):
        return kind
    if kind == _BACKWARD:
        return ABOVE if wire.target == end else BELOW
    return UPSTREAM if wire.target == end else DOWNSTREAM
