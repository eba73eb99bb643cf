"""Where a task is trained: on which engine, in which stages, and on which devices, real or emulated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from pipepita.engines import registry
from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.network.partition import AUTO, divide
from pipepita.pipeline.emulation import paced
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.pace import paces
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs import auto
from pipepita.runs.listeners import Listener
from pipepita.runs.options.job import Options
from pipepita.runs.store.status import SECONDS
from pipepita.schedule import Schedule

_RECORDED_SAMPLES = 2000  # the latest ones, some megabytes of trace


class Deployed(Protocol):
    """A task distributed over a chain of emulated devices, one stage per device; `edge.deploy.Emulation` is one."""

    @property
    def parts(self) -> Sequence[range]:
        """The layers of each device, as indices from 0, in the order of the chain."""

    def emulate(self, plan: Plan) -> Plan:
        """Slows a pipeline down to the speed of the devices and their links.

        Args:
            plan: The pipeline to be; each of its stages holds one of `parts`.

        Returns:
            The same pipeline, in which passes, updates and messages take as long as on the devices.
        """


# (options, task, schedule, items of the largest sample) -> the task on the devices that the options name
Deploy = Callable[[Options, Task, Schedule, int], Deployed]


@dataclass(frozen=True)
class Where:
    """Where to train, as the caller of `train` says it.

    Attributes:
        engine: A name, or an open engine, which is then kept open.
        costs: Of each layer, in any unit, for balancing stages.
        deploy: How `devices` are emulated; `pipepita.deployed` does it.
    """

    engine: str | Engine
    costs: Sequence[float] | None = None
    deploy: Deploy | None = None

    @property
    def name(self) -> str:
        """The name of the engine."""
        return str(getattr(self.engine, "name", self.engine))

    def plan(
        self,
        task: Task,
        settings: Options,
        schedule: Schedule,
        batch: int,
        listener: Listener,
        cleanup: ExitStack,
        stop: Callable[[], bool] = lambda: False,
    ) -> tuple[Engine, Plan]:
        """The engine, and the pipeline that it is to build.

        An engine that was given by name is started here, and closed by `cleanup`. batch: items of the largest sample.
        listener: told what takes a while, and what is chosen. stop: ends a measurement with `KeyboardInterrupt` if it
        says true. `UserError` if the options do not go together, or ask for what the engine does not have.
        """
        slowed = paces(settings.standard_ms, settings.modulated_ms, len(task.layers))
        chain = self._chain(settings, task, schedule, batch)
        parts = self._parts(settings, task, schedule, batch, listener, stop) if chain is None else chain.parts
        engine = self.engine
        if isinstance(engine, str):
            listener.prepares("starting the engine")
            wanted = registry.Wanted(
                len(parts), settings.device, settings.address, settings.placement, settings.encrypt
            )
            engine = registry.make(engine, wanted)
            cleanup.callback(engine.close)
        recorded = _RECORDED_SAMPLES if settings.trace or settings.timeline else 0
        specs = paced(stages(task, parts, engine.devices(len(parts))), slowed)
        plan = Plan(specs, schedule, batch, recorded, watch=SECONDS)
        return engine, plan if chain is None else chain.emulate(plan)

    def _parts(
        self,
        settings: Options,
        task: Task,
        schedule: Schedule,
        batch: int,
        listener: Listener,
        stop: Callable[[], bool],
    ) -> Sequence[range]:
        """The layers of each stage, as asked, or as measured to be fastest."""
        if settings.stages != AUTO:
            default = 1 if self.name == "local" else len(task.layers)
            return divide(settings.stages or default, _layer_costs(self.costs, task.layers))
        auto.check(settings, self.costs)
        if isinstance(self.engine, str):
            registry.check(self.engine)
        most = None if isinstance(self.engine, str) else self.engine.most_stages
        if self.name == "local" or min(len(task.layers), most or len(task.layers)) == 1:
            return task.whole
        engine = None if isinstance(self.engine, str) else self.engine
        return auto.fastest(task, settings, schedule, batch, engine, listener, stop)

    def _chain(self, settings: Options, task: Task, schedule: Schedule, batch: int) -> Deployed | None:
        """The devices to emulate, if there are any."""
        if settings.devices is None:
            for name in ("link", "assign", "trouble", "profiles"):
                if getattr(settings, name) is not None:
                    given = str(getattr(settings, name))
                    raise UserError(f"{name} {given!r} needs --devices, the chain that it belongs to")
            return None
        for name in ("stages", "standard_ms", "modulated_ms"):
            if getattr(settings, name) is not None:
                raise UserError(f"{name} {getattr(settings, name)!r}: --devices decides this, so leave it out")
        if self.name != "ray":
            raise UserError(f"devices {settings.devices!r} need --engine ray, not {self.name}, or `pipepita simulate`")
        if self.deploy is None:
            raise UserError(f"devices {settings.devices!r}: pass deploy=pipepita.deployed, which emulates them")
        return self.deploy(settings, task, schedule, batch)


def _layer_costs(given: Sequence[float] | None, layers: Sequence[Layer]) -> list[float]:
    """What each layer costs: as given, or its number of multiplications."""
    if given is None:
        return [layer.cost for layer in layers]
    try:
        costs = [float(cost) for cost in given]
    except (TypeError, ValueError):
        raise UserError(f"costs {given!r} are not numbers: give one per layer") from None
    if len(costs) != len(layers) or not all(0 <= cost < math.inf for cost in costs):
        raise UserError(f"costs {costs} are not {len(layers)} finite numbers of at least 0, one per layer")
    return costs
