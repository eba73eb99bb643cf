"""The world that a chain of devices is: what `recurrence.run` asks, answered from profiles, arrivals and troubles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pipepita.channels import header
from pipepita.edge.arrivals import Queue, Taken
from pipepita.edge.chain import Chain
from pipepita.edge.link import Traffic
from pipepita.edge.trouble import Fate, Trouble
from pipepita.edge.work import LayerWork
from pipepita.pipeline.stage import StageSpec
from pipepita.schedule import Flow
from pipepita.schedule.recurrence import COORDINATOR, UPDATED, Carry, Cost, World

DEVICE_TROUBLES, LINK_TROUBLES = ("slow", "pause", "die", "die!"), ("cut",)


@dataclass(frozen=True)
class Load:
    """What travels: bytes of each message, by (source, target, pass), stages being numbered from 0; and who hears.

    signals: by pass, the stages to which the coordinator sends the target, or the error.
    """

    sizes: Mapping[tuple[int, int, str], int]
    signals: Mapping[str, Sequence[int]]


def load(layers: StageSpec, works: Sequence[LayerWork], parts: Sequence[range], batch_size: int) -> Load:
    """The messages of a network (in one stage) cut into `parts`."""
    rule = layers.rule
    admit, *answers = rule.passes
    classes = 4 * batch_size * layers.classes
    signals = {
        name: [
            stage
            for stage, part in enumerate(parts)
            if any(rule.reads(name, layer + 1, layers.total).signal for layer in part)
        ]
        for name in rule.passes
    }
    sizes = {(COORDINATOR, 0, admit): works[0].incoming}
    last = len(parts) - 1
    for stage, part in enumerate(parts):
        outgoing = works[part.stop - 1].outgoing
        up = (stage, stage + 1) if stage < last else (stage, COORDINATOR)
        sizes[*up, admit] = outgoing
        sizes[stage, COORDINATOR, UPDATED] = 0
        for name in answers:
            if rule.flow is Flow.UP and stage < last:
                sizes[*up, name] = rule.rows * outgoing
            if rule.flow is Flow.DOWN and stage:
                sizes[stage, stage - 1, name] = works[part.start].incoming
        for name, told in signals.items():
            if stage in told and (stage or name != admit):
                sizes[COORDINATOR, stage, name] = classes
    return Load({key: size + header.SIZE for key, size in sizes.items()}, signals)


class Fates:
    """What befalls the devices and links of a chain."""

    def __init__(self, troubles: Sequence[Trouble], devices: int, seed: int) -> None:
        self.devices = [Fate(troubles, DEVICE_TROUBLES, place, seed) for place in range(devices)]
        self.links = [Fate(troubles, LINK_TROUBLES, place, seed) for place in range(devices)]

    def of_link(self, source: int, target: int) -> Fate:
        """Of the hop between two stages; of the way back where one of them is the coordinator."""
        return self.links[-1 if COORDINATOR in (source, target) else min(source, target)]


class Traffics:
    """All directed links of a chain, each with its own messages."""

    def __init__(self, chain: Chain, fates: Fates, seed: int) -> None:
        self._chain, self._fates, self._seed = chain, fates, seed
        self._made: dict[tuple[int, int], Traffic] = {}

    def between(self, source: int, target: int) -> Traffic:
        """From `source` to `target`, the same for all passes."""
        if (source, target) not in self._made:
            self._made[source, target] = Traffic(
                self._chain.link(source, target),
                self._seed,
                f"{source} {target}",
                fate.outage if (fate := self._fates.of_link(source, target)).eventful else None,
            )
        return self._made[source, target]


class ChainWorld(World):
    """A chain that carries a network, and the samples that come to it. For one run.

    costs: of each layer on its device, seconds. queue: where samples wait. label_delay: seconds from a sample's arrival
    to its label. taught_at_once: whether a sample needs its label to enter, as a rule of one pass does. stop: asked for
    each sample; true raises `KeyboardInterrupt`. taken: each sample as it entered. late: how long each one then waited
    for its label.
    """

    def __init__(
        self,
        chain: Chain,
        parts: Sequence[range],
        costs: Sequence[Cost],
        load: Load,
        queue: Queue,
        *,
        label_delay: float = 0.0,
        troubles: Sequence[Trouble] = (),
        seed: int = 0,
        taught_at_once: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(costs, parts, signals=load.signals)
        self._taught_at_once, self._stop = taught_at_once, stop
        self.queue, self._load, self._label_delay = queue, load, label_delay
        self.fates = Fates(troubles, len(parts), seed)
        self.eventful = any(fate.eventful for fate in self.fates.devices)
        self._traffics = Traffics(chain, self.fates, seed)
        self.taken: list[Taken] = []
        self.late: list[float] = []

    def finish(self, stage: int, begin: float, work: float) -> float:
        return self.fates.devices[stage].finish(begin, work)

    def stood(self, stage: int, begin: float, end: float) -> float:
        return self.fates.devices[stage].stood(begin, end)

    def carry(self, source: int, target: int, name: str) -> Carry:
        size = self._load.sizes[source, target, name]
        return partial(self._traffics.between(source, target).arrives, size=size)

    def take(self, now: float) -> float | None:
        if self._stop():
            raise KeyboardInterrupt
        taken = self.queue.take(now)
        if taken is None:
            return None
        self.taken.append(taken)
        if not self._taught_at_once:
            return taken.entered
        labelled = max(taken.entered, taken.arrived + self._label_delay)
        self.late.append(labelled - taken.entered)
        return labelled

    def answer(self, step: int, there: float, now: float) -> float:
        labelled = self.taken[step].arrived + self._label_delay
        self.late.append(max(0.0, labelled - there))
        return max(now, labelled)
