"""A chain of devices in real time: each stage slowed down to its device, each channel to its link.

What the simulator computes is waited for here, by the same formulas, on Ray actors that learn for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipepita.channels.delayed import Delay
from pipepita.edge.chain import Chain, assign, parse_chain
from pipepita.edge.profiles import catalogue
from pipepita.edge.trouble import Trouble, parse
from pipepita.edge.work import counted
from pipepita.edge.world import Fates, Traffics
from pipepita.pipeline.emulation import Pace
from pipepita.pipeline.stage import StageSpec
from pipepita.runs.job import Options
from pipepita.schedule import Schedule
from pipepita.schedule.recurrence import COORDINATOR, Cost


@dataclass(frozen=True)
class Deployment:
    """A network on a chain. parts: the layers of each device. costs: seconds of each layer on its device."""

    chain: Chain
    parts: Sequence[range]
    costs: Sequence[Cost]
    troubles: Sequence[Trouble] = ()
    seed: int = 0

    def slowed(self, stages: Sequence[StageSpec]) -> list[StageSpec]:
        """`stages`, one a device, at the pace of their devices."""
        fates = Fates(self.troubles, len(self.parts), self.seed)
        return [
            replace(stage, paces=[_pace(self.costs[layer]) for layer in part], fate=fate)
            for stage, part, fate in zip(stages, self.parts, fates.devices, strict=True)
        ]

    def delays(self) -> dict[tuple[int, int], Delay]:
        """What each link does, by (source, target), for `wiring.Plan`."""
        traffics = Traffics(self.chain, Fates(self.troubles, len(self.parts), self.seed), self.seed)
        stages = range(len(self.parts))
        hops = [(i, i + 1) for i in stages[:-1]] + [(i + 1, i) for i in stages[:-1]]
        hops += [(COORDINATOR, i) for i in stages] + [(i, COORDINATOR) for i in stages]
        return {ends: traffics.between(*ends) for ends in hops if self.chain.link(*ends) is not None}


def deployed(options: Options, whole: StageSpec, schedule: Schedule, batch_size: int) -> Deployment:
    """The chain that `options` name, carrying `whole`, the network in one stage. `UserError` as `chain.assign`."""
    assert options.devices is not None
    chain = parse_chain(options.devices, options.link, catalogue(options.profiles))
    works = counted(whole, batch_size)
    parts = assign(chain, works, schedule.window, options.assign)
    costs = [works[layer].cost(device) for device, part in zip(chain.devices, parts, strict=True) for layer in part]
    return Deployment(chain, parts, costs, parse(options.trouble or "", len(parts)), options.seed)


def _pace(cost: Cost) -> Pace:
    return Pace(cost.standard, cost.modulated, cost.update)
