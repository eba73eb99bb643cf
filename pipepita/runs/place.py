"""Where a task is trained: the engine, its stages, and the devices that they are on or are made to look like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from pipepita.engines import registry
from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.network.partition import balance
from pipepita.pipeline.emulation import paced
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.pace import paces
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs.job import Options
from pipepita.runs.status import SECONDS
from pipepita.schedule import Schedule

_RECORDED_SAMPLES = 2000  # some megabytes of trace; the latest


class Deployed(Protocol):
    """A task on a chain of devices; `edge.deploy.Emulation` is one."""

    @property
    def parts(self) -> Sequence[range]:
        """The layers of each device."""

    def emulate(self, plan: Plan) -> Plan:
        """`plan`, whose stages hold these parts, at the pace of the devices and their links."""


# options, task, schedule, items of the largest sample -> how --devices is carried out
Deploy = Callable[[Options, Task, Schedule, int], Deployed]


@dataclass(frozen=True)
class Where:
    """engine: a name, or an open engine, which is then kept open. costs: of each layer, for balancing stages; any unit.

    deploy: how emulated devices are made; `pipepita.edge.deploy.deployed` is the one that there is.
    """

    engine: str | Engine
    costs: Sequence[float] | None = None
    deploy: Deploy | None = None

    @property
    def name(self) -> str:
        """Of the engine."""
        return str(getattr(self.engine, "name", self.engine))

    def plan(
        self,
        task: Task,
        settings: Options,
        schedule: Schedule,
        batch: int,
        prepares: Callable[[str], None],
        cleanup: ExitStack,
    ) -> tuple[Engine, Plan]:
        """The engine, opened here (and closed by `cleanup`) if it was named; and the pipeline that it is to build.

        batch: items of the largest sample. prepares: told what takes time.
        """
        slowed = paces(settings.standard_ms, settings.modulated_ms, len(task.layers))
        chain = self._chain(settings, task, schedule, batch)
        count = settings.stages or (1 if self.name == "local" else len(task.layers))
        parts = balance(_layer_costs(self.costs, task.layers), count) if chain is None else chain.parts
        engine = self.engine
        if isinstance(engine, str):
            prepares("starting the engine")
            engine = registry.make(
                engine, len(parts), device=settings.device, address=settings.address, placement=settings.placement
            )
            cleanup.callback(engine.close)
        recorded = _RECORDED_SAMPLES if settings.trace or settings.timeline else 0
        there = paced(stages(task, parts, engine.devices(len(parts))), slowed)
        plan = Plan(there, schedule, batch, recorded, watch=SECONDS)
        return engine, plan if chain is None else chain.emulate(plan)

    def _chain(self, settings: Options, task: Task, schedule: Schedule, batch: int) -> Deployed | None:
        """The devices to emulate, if there are any."""
        if settings.devices is None:
            for name in ("link", "assign", "trouble", "profiles"):
                if getattr(settings, name) is not None:
                    given = str(getattr(settings, name))
                    raise UserError(f"{name} {given!r} needs --devices, the chain that it is about")
            return None
        for name in ("stages", "standard_ms", "modulated_ms"):
            if getattr(settings, name) is not None:
                raise UserError(f"{name} {getattr(settings, name)!r}: with --devices the devices say so")
        if self.name != "ray":
            raise UserError(
                f"devices {settings.devices!r} run in real time on --engine ray, not {self.name}; or: simulate"
            )
        if self.deploy is None:
            raise UserError(f"devices {settings.devices!r}: pass deploy=pipepita.deployed, which emulates them")
        return self.deploy(settings, task, schedule, batch)


def _layer_costs(given: Sequence[float] | None, layers: Sequence[Layer]) -> list[float]:
    """What each layer costs: as given, or its multiplications."""
    if given is None:
        return [layer.cost for layer in layers]
    costs = [float(cost) for cost in given]
    if len(costs) != len(layers) or not all(0 <= cost < math.inf for cost in costs):
        raise UserError(f"costs {costs} are not {len(layers)} finite numbers of at least 0, one per layer")
    return costs
