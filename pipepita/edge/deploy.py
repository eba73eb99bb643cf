"""A chain of devices in real time: each stage is slowed down to its device, each channel to its link.

The times are those that the simulator computes, by the same formulas. Ray actors wait for them, and learn for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipepita.channels.delayed import Delay
from pipepita.edge.chain import assign, parse_chain
from pipepita.edge.deployment import Deployment
from pipepita.edge.devices.profiles import catalogue
from pipepita.edge.trouble import parse
from pipepita.edge.work import counted
from pipepita.edge.world import Fates, Traffics
from pipepita.errors import UserError
from pipepita.pipeline.emulation import EmulatedPlan, EmulatedSpec
from pipepita.pipeline.pace import Pace
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs.options.job import Options
from pipepita.schedule import Schedule
from pipepita.schedule.topology import COORDINATOR


@dataclass(frozen=True)
class Emulation:
    """A deployment whose devices and links are emulated. `deployed` makes it."""

    deployment: Deployment

    @property
    def parts(self) -> Sequence[range]:
        """The layers of each device."""
        return self.deployment.parts

    def emulate(self, plan: Plan) -> Plan:
        """`plan` at the pace of the devices and links. Its stages must hold `parts`. `UserError` if links share air."""
        return emulated(self.deployment, plan)


def deployed(options: Options, task: Task, schedule: Schedule, batch_size: int) -> Emulation:
    """The chain of devices that `options` name, with `task` on it. `pipepita.train` takes it as `deploy`.

    Args:
        options: Their devices, link, assign, trouble, profiles and seed are read. devices must be given.
        task: What is trained.
        schedule: How many samples are in flight, which need memory.
        batch_size: Items per sample.

    Returns:
        The layers of each device, and a plan's emulation on them.

    Raises:
        UserError: A device or link is unknown, a text cannot be read, the assignment does not fit the layers, or a
            device has too little RAM for its layers.

    Example:
        >>> import pipepita as pp
        >>> from pipepita.network.cut import cut
        >>> from pipepita.pipeline.task import Task
        >>> from pipepita.runs.options.job import Options
        >>> from pipepita.schedule import relaxed
        >>> model = pp.build("fc:16", (1, 8, 8), 10)
        >>> task = Task(cut(model, (1, 8, 8), 10), 10, pp.Pepita(), "sgd", 0.1)
        >>> pp.deployed(Options(devices="rpi4*2", link="wifi"), task, relaxed(), batch_size=64).parts
        [range(0, 1), range(1, 2)]
        >>> pp.train(model, "digits", devices="rpi4*2", link="wifi", deploy=pp.deployed)  # doctest: +SKIP
    """
    assert options.devices is not None
    chain = parse_chain(options.devices, options.link, catalogue(options.profiles))
    works = counted(task, batch_size)
    parts = assign(chain, works, schedule.window, options.assign)
    costs = [
        works[layer].cost(device, first=layer == part.start)
        for device, part in zip(chain.devices, parts, strict=True)
        for layer in part
    ]
    return Emulation(Deployment(chain, parts, costs, parse(options.trouble or "", len(parts)), options.seed))


def emulated(deployment: Deployment, plan: Plan) -> EmulatedPlan:
    """`plan` at the pace of the deployment's devices and links. Its stages must hold the deployment's parts.

    `UserError` if links share air: their receivers are processes that know nothing of each other.
    """
    for air in sorted(deployment.chain.shared):
        raise UserError(f"air {air} is shared by links: in real time each link has its own, so leave @{air} out")
    fates = Fates(deployment)
    traffics = Traffics(deployment, Fates(deployment))
    places = range(len(deployment.parts))
    paces = [Pace(cost.standard, cost.modulated, cost.update, cost.ahead) for cost in deployment.costs]

    def delays(target: int) -> dict[int, Delay]:
        """The links to `target`, by their sender."""
        neighbours = [COORDINATOR, *(place for place in (target - 1, target + 1) if place in places)]
        sources = places if target == COORDINATOR else neighbours
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
