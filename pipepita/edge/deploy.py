"""A chain of devices in real time: each stage slowed down to its device, each channel to its link.

What the simulator computes is waited for here, by the same formulas, on Ray actors that learn for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipepita.channels.delayed import Delay
from pipepita.edge.chain import assign, parse_chain
from pipepita.edge.deployment import Deployment
from pipepita.edge.profiles import catalogue
from pipepita.edge.trouble import parse
from pipepita.edge.work import counted
from pipepita.edge.world import Fates, Traffics
from pipepita.pipeline.emulation import EmulatedPlan, EmulatedSpec
from pipepita.pipeline.pace import Pace
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs.job import Options
from pipepita.schedule import Schedule
from pipepita.schedule.topology import COORDINATOR


@dataclass(frozen=True)
class Emulation:
    """A deployment whose devices and links are emulated."""

    deployment: Deployment

    @property
    def parts(self) -> Sequence[range]:
        """The layers of each device."""
        return self.deployment.parts

    def emulate(self, plan: Plan) -> Plan:
        """`plan`, whose stages hold these parts, at the pace of the devices and their links."""
        return emulated(self.deployment, plan)


def deployed(options: Options, task: Task, schedule: Schedule, batch_size: int) -> Emulation:
    """The chain that `options` name, carrying `task`: what `train(deploy=...)` takes. `UserError` as `chain.assign`."""
    assert options.devices is not None
    chain = parse_chain(options.devices, options.link, catalogue(options.profiles))
    works = counted(task, batch_size)
    parts = assign(chain, works, schedule.window, options.assign)
    costs = [works[layer].cost(device) for device, part in zip(chain.devices, parts, strict=True) for layer in part]
    return Emulation(Deployment(chain, parts, costs, parse(options.trouble or "", len(parts)), options.seed))


def emulated(deployment: Deployment, plan: Plan) -> EmulatedPlan:
    """`plan`, whose stages are the deployment's parts, at the pace of its devices and links."""
    fates = Fates(deployment)
    traffics = Traffics(deployment, Fates(deployment))
    places = range(len(deployment.parts))
    paces = [Pace(cost.standard, cost.modulated, cost.update) for cost in deployment.costs]

    def delays(target: int) -> dict[int, Delay]:
        """What the links to `target` do, by who sends."""
        near = [COORDINATOR, *(place for place in (target - 1, target + 1) if place in places)]
        sources = places if target == COORDINATOR else near
        return {
            source: traffics.between(source, target)
            for source in sources
            if deployment.chain.link(source, target) is not None
        }

    stages = [
        EmulatedSpec(stage.task, stage.parts, stage.index, stage.device, paces, fate, delays=delays(stage.index))
        for stage, fate in zip(plan.stages, fates.devices, strict=True)
    ]
    return EmulatedPlan(stages, plan.schedule, plan.batch_size, plan.record, plan.watch, delays(COORDINATOR))
