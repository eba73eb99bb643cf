"""A chain of devices as a world: it answers what `recurrence.run` asks from profiles, arrivals and troubles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pipepita.channels import header
from pipepita.edge.arrivals import Queue, Taken
from pipepita.edge.deployment import Deployment
from pipepita.edge.link import Traffic
from pipepita.edge.medium import Medium
from pipepita.edge.trouble import Fate
from pipepita.edge.work import LayerWork
from pipepita.pipeline.task import Task
from pipepita.schedule.recurrence import UPDATED
from pipepita.schedule.topology import COORDINATOR, Topology
from pipepita.schedule.world import Carry, World

DEVICE_TROUBLES, LINK_TROUBLES = ("slow", "pause", "die", "die!"), ("cut",)


# the bytes of each message by (source, target, pass); stages are numbered from 0
Sizes = Mapping[tuple[int, int, str], int]


def sizes(task: Task, works: Sequence[LayerWork], parts: Sequence[range], batch_size: int) -> Sizes:
    """The sizes of the messages if `task` is cut into `parts`. works: of each layer."""
    topology, admit = Topology(task.rule, parts), task.rule.passes[0]
    bytes_of = {(stage, COORDINATOR, UPDATED): 0 for stage in range(len(parts))}
    for hop in topology.hops:
        if hop.source == COORDINATOR:
            size = works[0].incoming
        elif topology.down(hop.name):
            size = works[parts[hop.source].start].incoming
        else:
            rows = 1 if hop.name == admit else task.rule.rows
            size = rows * works[parts[hop.source].stop - 1].outgoing
        bytes_of[hop] = size
    for name in task.rule.passes:
        for stage in topology.told(name):
            # the first stage gets the target in the sample's own message
            bytes_of.setdefault((COORDINATOR, stage, name), 4 * batch_size * task.classes)
    return {ends: size + header.SIZE for ends, size in bytes_of.items()}


class Fates:
    """What happens to the devices and links of a chain."""

    def __init__(self, deployment: Deployment) -> None:
        troubles, seed, places = deployment.troubles, deployment.seed, range(len(deployment.parts))
        self.devices = [Fate(troubles, DEVICE_TROUBLES, place, seed) for place in places]
        self.links = [Fate(troubles, LINK_TROUBLES, place, seed) for place in places]

    def of_link(self, source: int, target: int) -> Fate:
        """The fate of the link between two stages, or of the way back if one of them is the coordinator."""
        return self.links[-1 if COORDINATOR in (source, target) else min(source, target)]


class Traffics:
    """All directed links of a chain, each with its own messages, and the air that some of them share."""

    def __init__(self, deployment: Deployment, fates: Fates) -> None:
        self._chain, self._fates, self._seed = deployment.chain, fates, deployment.seed
        self._made: dict[tuple[int, int], Traffic] = {}
        self._media: dict[str, Medium] = {}

    def between(self, source: int, target: int) -> Traffic:
        """The messages from `source` to `target`, of all passes."""
        if (source, target) not in self._made:
            link = self._chain.link(source, target)
            air = None
            if link is not None and link.air:
                sender = 0 if source == COORDINATOR else source  # the coordinator is on the first device
                air = self._media.setdefault(link.air, Medium()), sender
            fate = self._fates.of_link(source, target)
            outage = fate.outage if fate.eventful else None
            self._made[source, target] = Traffic(link, self._seed, f"{source} {target}", outage, air)
        return self._made[source, target]


class ChainWorld(World):
    """A chain that carries a network, and the samples that arrive at it. Each run needs a new one.

    Args:
        deployment: The chain and what it carries.
        sizes: The bytes of each message.
        queue: Where samples wait.
        label_delay: Seconds from a sample's arrival to its label.
        coordination: Seconds that the coordinator works on a sample: half before it enters, half once it is answered.
            If it is not answered, as under a rule with one pass, it is all before the next one enters.
        wake: Seconds until a sample enters that arrives while the coordinator has nothing to do.
        taught_at_once: Whether a sample needs its label to enter, as under a rule with one pass.
        stop: Asked for each sample; true raises `KeyboardInterrupt`.

    Attributes:
        taken: Each sample as it entered.
        late: How long each sample then waited for its label, in seconds.
    """

    def __init__(
        self,
        deployment: Deployment,
        sizes: Sizes,
        queue: Queue,
        *,
        label_delay: float = 0.0,
        coordination: float = 0.0,
        wake: float = 0.0,
        taught_at_once: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(deployment.costs, deployment.parts)
        self._taught_at_once, self._stop = taught_at_once, stop
        self.queue, self._sizes, self._label_delay = queue, sizes, label_delay
        self.fates = Fates(deployment)
        self.eventful = any(fate.eventful for fate in self.fates.devices)
        self._traffics = Traffics(deployment, self.fates)
        self._half, self._wake = coordination / 2, wake
        self._before = coordination if taught_at_once else coordination / 2
        self._free = 0.0  # until when the coordinator works
        self.taken: list[Taken] = []
        self.late: list[float] = []

    def finish(self, stage: int, begin: float, work: float) -> float:
        return self.fates.devices[stage].finish(begin, work)

    def standstill(self, stage: int, begin: float, end: float) -> float:
        return self.fates.devices[stage].standstill(begin, end)

    def carry(self, source: int, target: int, name: str) -> Carry:
        size = self._sizes[source, target, name]
        return partial(self._traffics.between(source, target).arrives, size=size)

    def arrival(self, now: float) -> float:
        return self.queue.arrival(now)

    def take(self, now: float) -> float | None:
        if self._stop():
            raise KeyboardInterrupt
        taken = self.queue.take(now)
        if taken is None:
            return None
        if self._half:
            more = self._wake if taken.arrived > now else self._before
            self._free = max(taken.entered, self._free) + more
            taken = taken._replace(entered=self._free)
        self.taken.append(taken)
        if not self._taught_at_once:
            return taken.entered
        labelled = max(taken.entered, taken.arrived + self._label_delay)
        self.late.append(labelled - taken.entered)
        return labelled

    def answer(self, step: int, there: float, now: float) -> float:
        labelled = self.taken[step].arrived + self._label_delay
        self.late.append(max(0.0, labelled - there))
        answered = max(now, labelled)
        if self._half:
            answered = self._free = max(answered, self._free) + self._half
        return answered
