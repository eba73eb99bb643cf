"""The ways to learn from a stream that a simulation compares: the schedules on the chain, and one device alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipepita import schedule as schedules
from pipepita.edge.calibration import CostOf, counted_cost
from pipepita.edge.chain import Chain, assign, parse_chain
from pipepita.edge.deployment import Deployment
from pipepita.edge.devices.measured import NO_TIME, Coordinator
from pipepita.edge.devices.profiles import Catalogue
from pipepita.edge.scenario import Scenario
from pipepita.edge.trouble import Trouble, parse
from pipepita.edge.work import LayerWork, counted, memory
from pipepita.edge.world import Sizes, sizes
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.modules import leaves
from pipepita.network.norms import check_batches
from pipepita.pipeline.task import Task
from pipepita.rules.epochless import check_epochless
from pipepita.schedule import Schedule
from pipepita.schedule.forecast import messages
from pipepita.schedule.topology import Topology
from pipepita.schedule.world import Cost
from pipepita.streams import Stream

ALONE = "one device"


@dataclass(frozen=True)
class Setup:
    """One way to learn from the stream.

    Attributes:
        parts: The layers of each device.
        works: Of each layer.
        costs: Seconds of each layer on its device.
        sizes: The bytes of each message.
        task: What is learnt, with predicted weights if several samples are in flight.
    """

    name: str
    schedule: Schedule
    chain: Chain
    parts: list[range]
    works: list[LayerWork]
    costs: list[Cost]
    sizes: Sizes
    troubles: list[Trouble]
    task: Task

    @property
    def memory(self) -> list[int]:
        """Bytes that each device needs."""
        return [memory([self.works[layer] for layer in part], self.schedule.window) for part in self.parts]

    @property
    def coordinator(self) -> Coordinator:
        """What the coordinator takes, which is on the first device: in one process with the layers if it is alone."""
        measured = self.chain.devices[0].measured
        if measured is None:
            return NO_TIME
        return measured.together if self.name == ALONE else measured.apart

    @property
    def wake(self) -> float:
        """How many seconds later the prediction of a sample is there that arrives while nothing is to do."""
        coordinator = self.coordinator
        return coordinator.wake + coordinator.cold * sum(cost.standard for cost in self.costs)

    def deployment(self, seed: int, *, troubled: bool = True) -> Deployment:
        """The setup as a simulated or a real chain takes it. troubled: whether troubles happen."""
        return Deployment(self.chain, self.parts, self.costs, self.troubles if troubled else (), seed)


@dataclass
class Network:
    """What the chain carries: a task, and the work of each of its layers.

    Attributes:
        most: The largest window that is chosen by default.
        ahead: The task with predicted weights, and the work of each of its layers, if that is what several samples in
            flight mean; else None.
    """

    task: Task
    works: list[LayerWork]
    most: int
    ahead: tuple[Task, list[LayerWork]] | None = None

    def with_window(self, window: int) -> tuple[Task, list[LayerWork]]:
        """The task, and the work of each layer, if so many samples are in flight."""
        return self.ahead if self.ahead is not None and window > 1 else (self.task, self.works)

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes that a sample makes."""
        return self.task.rule.passes


def network(scenario: Scenario, stream: Stream) -> Network:
    """The untrained network for the items of `stream`, and what it costs. `UserError` if they do not go together."""
    rule = scenario.make_rule()
    check_epochless(rule)
    model = scenario.build(stream.item_shape, stream.classes, rule)
    check_batches(leaves(model), 0, scenario.batch_size)
    spec.initialise(model, scenario.seed, scenario.init)
    layers = cut(model, stream.item_shape, stream.classes, scenario.seed, regression=stream.regression)
    rule = rule.settled(len(layers))
    defaults = rule.defaults(len(layers))
    settled = scenario.settled(defaults)
    task = Task(layers, stream.classes, rule, settled.updater, settled.learning_rate, scenario.seed)
    found = Network(task, counted(task, scenario.batch_size), defaults.window)
    if scenario.looks_ahead(defaults.look_ahead, window=2):
        looking = replace(task, look_ahead=True)
        found.ahead = looking, counted(looking, scenario.batch_size)
    return found


def setups(
    scenario: Scenario, net: Network, profiles: Catalogue, cost: CostOf = counted_cost
) -> tuple[list[Setup], str | None]:
    """Each schedule on the chain, and the whole network on one of its devices: the fastest that fits.

    Also returns why there is no setup with one device, or None if there is one. cost: of a layer (from 0) on a device.

    Raises:
        UserError: The chain, its batteries, its assignment, the window or a trouble cannot be, or a device has too
            little RAM.
    """
    chain = parse_chain(scenario.devices, scenario.link, profiles)
    scenario.batteries(len(chain.devices))  # a wrong number shows here
    flow, total = net.task.rule.flow, len(net.works)

    def setup(name: str, schedule: Schedule, chain: Chain, parts: list[range], troubles: list[Trouble]) -> Setup:
        task, works = net.with_window(schedule.window)
        placed = [
            cost(works[layer], layer, device, layer == part.start)
            for device, part in zip(chain.devices, parts, strict=True)
            for layer in part
        ]
        if name != ALONE:
            topology = Topology(net.task.rule, parts)
            for stage, (device, part) in enumerate(zip(chain.devices, parts, strict=True)):
                if device.measured is not None:
                    # A message on its way takes what its link says. What its ends work for it delays what they do next.
                    number = sum(cost.total for cost in messages(topology, stage, schedule.waits))
                    placed[part.stop - 1] += Cost(0, 0, device.measured.message * number)
        return Setup(
            name, schedule, chain, parts, works, placed,
            sizes(net.task, works, parts, scenario.batch_size), troubles, task,
        )  # fmt: skip

    troubles = parse(scenario.trouble or "", len(chain.devices))
    streaming = schedules.make("streaming", total, scenario.window, flow, net.most)
    adaptive = schedules.adaptive(streaming.window)
    # the same layers per device for all, so that schedules are compared and not assignments
    _, works = net.with_window(streaming.window)
    parts = assign(chain, works, streaming.window, scenario.assign)
    compared = [
        setup(name, schedule, chain, parts, troubles)
        for name, schedule in zip(
            schedules.SCHEDULES, (schedules.locked(), schedules.relaxed(), streaming, adaptive), strict=True
        )
    ]
    fitting = [place for place, device in enumerate(chain.devices) if memory(net.works, 1) <= device.ram]
    if not fitting:
        return compared, "the whole network fits on none of the devices"
    place = min(fitting, key=lambda place: sum(work.cost(chain.devices[place]).total for work in net.works))
    own_troubles = [
        replace(one, place=1, drawn_at=place)
        for one in troubles
        if one.kind != "cut" and one.place in (None, place + 1)
    ]
    compared.append(setup(ALONE, schedules.locked(), Chain((chain.devices[place],)), [range(total)], own_troubles))
    return compared, None
