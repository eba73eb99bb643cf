"""How long a sample will take in a pipeline of processes, from what layers, messages and the coordinator cost.

    stage        | receive | pass ............ | send | update |          its own time
    message                                           |~~~~~~~|           on its way to a process that waits
    coordinator  | prepare, send | ahead | receive | answer, send |       a process of its own

The recurrences of `schedule.recurrence` tell how long a sample takes if every process has a core to itself. They know
nothing of cores; but no sample takes less than the work of all processes divided by the cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipepita.schedule.clock import settled
from pipepita.schedule.order import Schedule
from pipepita.schedule.topology import Topology, Travels
from pipepita.schedule.world import Cost, World

CORES, ORDER, HOPS, COORDINATION = "cores", "order", "hops", "coordinator"
_CLOSE = 1.02  # a bound this near to the period is what limits it


@dataclass(frozen=True)
class Message:
    """What one message between two processes costs, in the unit of the layers' costs.

    Attributes:
        send: The sender's own time: it copies a tensor and rings.
        wake: The time from then until a receiver that waits has the message.
        receive: The receiver's own time for a message that is already there; a part of `wake`.
    """

    send: float = 0.0
    wake: float = 0.0
    receive: float = 0.0


@dataclass(frozen=True)
class Coordination:
    """What the coordinator itself does for a sample, without sending and receiving, in the unit of the layers' costs.

    Attributes:
        prepare: Before the sample enters.
        ahead: Once it has entered: the next sample is prepared.
        answer: From the output to the error.
    """

    prepare: float = 0.0
    ahead: float = 0.0
    answer: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """What a pipeline will do.

    Attributes:
        period: The time from one sample to the next, in the unit of the costs.
        limit: What makes it no shorter: the "cores", the "coordinator", one stage ("stage 2", from 1), the "order" in
            which passes wait for each other, or the "hops" of messages between them.
    """

    period: float
    limit: str


def forecast(
    schedule: Schedule,
    costs: Sequence[Cost],
    parts: Sequence[range],
    route: Travels,
    *,
    message: Message = Message(),
    coordination: Coordination = Coordination(),
    cores: int,
) -> Forecast:
    """Predicts the period of a pipeline.

    Args:
        schedule: The order of passes.
        costs: What each layer takes for a sample.
        parts: The layers of each stage, from 0.
        route: The rule, or what it says about its passes.
        message: What a message costs.
        coordination: What the coordinator does.
        cores: How many processes can work at the same time.

    Returns:
        The period and what limits it.

    Example:
        >>> from pipepita.schedule import streaming
        >>> from pipepita.schedule.topology import Route
        >>> halves = [range(2), range(2, 4)]
        >>> forecast(streaming(2), [Cost()] * 4, halves, Route(), cores=3)
        Forecast(period=4.0, limit='stage 1')
        >>> forecast(streaming(2), [Cost()] * 4, halves, Route(), message=Message(wake=20), cores=3).limit
        'hops'
    """
    world = Processes(schedule, costs, parts, route, message, coordination)
    stages, own = world.works, world.coordinator_work
    shared = (sum(stages) + own) / cores
    period = max(settled(schedule, world, route), shared, own)
    if period <= _CLOSE * shared:
        return Forecast(period, CORES)
    if period <= _CLOSE * max(stages):
        return Forecast(period, f"stage {stages.index(max(stages)) + 1}")
    if period <= _CLOSE * own:
        return Forecast(period, COORDINATION)
    free = settled(schedule, Processes(schedule, costs, parts, route, Message(), coordination), route)
    return Forecast(period, HOPS if free < period / 2 else ORDER)


class Processes(World):
    """Stages and a coordinator with a core each. The arguments are those of `forecast`.

    Attributes:
        works: How long each stage works on a sample, with its messages.
        coordinator_work: The same for the coordinator.
    """

    eventful = False

    def __init__(
        self,
        schedule: Schedule,
        costs: Sequence[Cost],
        parts: Sequence[range],
        route: Travels,
        message: Message,
        coordination: Coordination,
    ) -> None:
        topology = Topology(route, parts)
        loaded = list(costs)
        for stage, part in enumerate(parts):
            arriving, leaving = messages(topology, stage, schedule.waits)
            loaded[part.start] += arriving * message.receive
            loaded[part.stop - 1] += leaving * message.send
        super().__init__(loaded, parts, max(0.0, message.wake - message.receive))
        self.works = [sum(cost.total for cost in loaded[part.start : part.stop]) for part in parts]
        first, *answers = route.passes
        reports = len(parts) if schedule.waits else 0
        # besides the sample itself and its output
        targets, errors = len(topology.told(first)), sum(len(topology.told(name)) for name in answers)
        self._prepare = coordination.prepare + message.send + reports * message.receive
        self._ahead = coordination.ahead + targets * message.send
        self._answer = message.receive + coordination.answer + errors * message.send
        self.coordinator_work = self._prepare + self._ahead + self._answer
        self._free = 0.0  # when the coordinator has done what it is doing

    def take(self, now: float) -> float:
        """When the next sample enters."""
        entered = max(now, self._free) + self._prepare
        self._free = entered + self._ahead
        return entered

    def answer(self, step: int, there: float, now: float) -> float:
        """When the error of a sample is sent."""
        self._free = max(now, self._free) + self._answer
        return self._free


def arrivals(topology: Topology) -> int:
    """How many messages all stages together get for a sample."""
    return int(sum(messages(topology, stage, False)[0].total for stage in range(len(topology.parts))))


def messages(topology: Topology, stage: int, reports: bool) -> tuple[Cost, Cost]:
    """How many messages arrive at a stage for each of its passes, and how many leave it after each and the update.

    reports: whether it tells the coordinator of each update.
    """
    arriving, leaving = [], []
    for name in topology.route.passes:
        arriving.append(int(topology.source(stage, name) is not None) + int(topology.hears(stage, name)))
        leaving.append(int(topology.target(stage, name) is not None))
    return Cost(*_both(arriving)), Cost(*_both(leaving), int(reports))


def _both(counts: list[int]) -> tuple[int, int]:
    """The counts of the first and the second pass, of which there may be none."""
    return counts[0], sum(counts[1:])
