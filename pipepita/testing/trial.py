"""A training run that is short enough to be repeated many times. The checks of a rule compare such runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pipepita.engines.local import LocalEngine
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.layer import Layer
from pipepita.network.partition import balance
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine, Pipeline
from pipepita.pipeline.stage import stages as cut_into_stages
from pipepita.pipeline.state import State
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.randomness import generator
from pipepita.rules import Rule
from pipepita.schedule import Schedule

SEED, CLASSES, ITEMS, BATCH, EPOCHS, LR = 5, 4, 72, 16, 2, 0.01  # the last mini-batch is short
SHAPE = (1, 8, 8)

NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "fully connected": lambda: spec.build("fc:24x3", SHAPE, CLASSES, dropout=0.1, normal=True),
    "convolutional": lambda: spec.build("conv:4,3/pool:2/fc:16", SHAPE, CLASSES, dropout=0.1, normal=True),
}


@dataclass(frozen=True, eq=False)
class Trial:
    """One rule on one of `NETWORKS`."""

    rule: Rule
    network: str
    _whole: dict[Schedule, State] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: Rule, network: str) -> Trial:
        """A trial of the rule with its "auto" options chosen for the depth of the network."""
        return cls(rule.settled(len(cls(rule, network).layers())), network)

    def whole(self, schedule: Schedule) -> State:
        """What is learnt in one stage in this process, with which everything else is compared."""
        if schedule not in self._whole:
            self._whole[schedule] = self.trained(LocalEngine("cpu"), schedule)
        return self._whole[schedule]

    def layers(self) -> list[Layer]:
        """The untrained layers, which are the same at every call."""
        model = self.rule.network(NETWORKS[self.network](), CLASSES)
        spec.initialise(model, SEED)
        return cut(model, SHAPE, CLASSES, SEED)

    def trained(
        self, engine: Engine, schedule: Schedule, stages: int = 1, *, snapshot: bool = False, evaluate: bool = True
    ) -> State:
        """What is learnt in `EPOCHS` epochs.

        Args:
            engine: The engine that runs the stages.
            schedule: The schedule.
            stages: How many stages the layers are split into, but at most one per layer.
            snapshot: Whether each epoch after the first continues from a snapshot in a new pipeline.
            evaluate: Whether there is an evaluation after each epoch.
        """
        x, y = items()
        pipeline, step, state = self._open(engine, schedule, stages), 0, None
        try:
            for epoch in range(1, EPOCHS + 1):
                if snapshot and state is not None:
                    pipeline.close()
                    pipeline = self._open(engine, schedule, stages)
                    pipeline.load(state)
                coordinator = Coordinator(pipeline, schedule, self.rule.passes, batch_size=BATCH, seed=SEED)
                coordinator.go_on(pipeline, step)
                coordinator.train_epoch(x, y, epoch, LR)
                if evaluate:
                    coordinator.evaluate(x[:BATCH], y[:BATCH])
                step, state = coordinator.step, pipeline.state()
            assert state is not None
            return state
        finally:
            pipeline.close()

    def _open(self, engine: Engine, schedule: Schedule, stages: int) -> Pipeline:
        task = Task(self.layers(), CLASSES, self.rule, "sgd", LR, SEED)
        parts = balance([layer.cost for layer in task.layers], min(stages, len(task.layers)))
        return engine.open(Plan(cut_into_stages(task, parts), schedule, BATCH))


def items() -> tuple[Tensor, Tensor]:
    """(ITEMS, *SHAPE) items, each near the pattern of its class, and their labels, (ITEMS,)."""
    source = generator(SEED, "items")
    patterns = torch.rand(CLASSES, *SHAPE, generator=source)
    y = torch.arange(ITEMS) % CLASSES
    return patterns[y] + 0.3 * torch.rand(ITEMS, *SHAPE, generator=source), y


def different(one: State, other: State) -> list[str]:
    """The names of the tensors that are not equal to the bit."""
    names = []
    for mine, theirs in zip(one, other, strict=True):
        for key in sorted(mine.keys() | theirs.keys()):
            if key not in mine or key not in theirs or not torch.equal(mine[key], theirs[key]):
                names.append(key)
    return names
