"""Learning for real from the samples that entered a simulated chain: in the local engine, in the schedule's order.

What is learnt depends on which samples entered and on the order of the passes, which the schedule fixes. It does not
depend on time. So the samples run through the same engine as in a training job, and end with the same bits.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipepita.edge.forgetting import Exam, Remembered
from pipepita.engines.local import LocalEngine
from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.source import Labelled, Sample, Source
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs.store.checkpoint import weights_sha256
from pipepita.schedule import Schedule
from pipepita.schedule.decisions import Order
from pipepita.streams import Stream
from pipepita.streams.items import Label
from pipepita.streams.targets import Said, Scale, targets_of


@dataclass(frozen=True)
class Learnt:
    """What was learnt.

    Attributes:
        indices: Which items of the stream entered.
        predictions: The class (or the numbers) predicted for each, before it was learnt from.
        labels: Their true ones.
        remembered: Of earlier concepts, if anybody asked.
    """

    indices: list[int]
    predictions: list[Said]
    labels: list[Label]
    weights_sha256: str
    remembered: Remembered | None = None


# what a simulation learns that only computes times
NOTHING = Learnt([], [], [], "")


class Reader:
    """Reads samples of a stream by number, in rising order. A sample is `batch_size` items in a row.

    indices, labels: of the items that were read so far. predictions: what was predicted for those that were answered.
    """

    def __init__(self, stream: Stream, batch_size: int) -> None:
        self._stream, self._batch_size = stream, batch_size
        self._items = enumerate(iter(stream))
        self._here = 0
        self._targets = targets_of(stream.regression, stream.classes)
        self._scales: deque[Scale | None] = deque()  # of the samples in flight
        self.indices: list[int] = []
        self.labels: list[Label] = []
        self.predictions: list[Said] = []

    def sample(self, number: int) -> Sample:
        """(B, *item_shape) float32, and what the network is taught of them, as `Targets.teach` returns it.

        `UserError` if the stream ends before.
        """
        skipped = (number - self._here) * self._batch_size
        items = list(itertools.islice(self._items, skipped, skipped + self._batch_size))
        if len(items) < self._batch_size:
            raise UserError(f"stream {self._stream.name} ends before sample {number + 1}: ask for fewer --samples")
        self._here = number + 1
        labels = [y for _, (_, y) in items]
        self.indices += [index for index, _ in items]
        self.labels += labels
        self._scales.append(self._targets.scale())
        return torch.stack([x for _, (x, _) in items]), self._targets.teach(labels)

    def answered(self, output: Tensor) -> None:
        """Keeps what the output of the next sample says, (B, classes)."""
        self.predictions += self._targets.read(output, self._scales.popleft())


class Examined:
    """A network that answers an exam now and then, while it learns, and at the end."""

    def __init__(self, exam: Exam, layers: Sequence[Layer]) -> None:
        self._exam, self._layers, self._times = exam, layers, deque([*exam.times(), exam.length])
        self.remembered = Remembered(exam.concepts)

    def answered(self, items: int) -> None:
        """So many items have arrived, as far as the network has answered them."""
        while len(self._times) > 1 and items >= self._times[0]:
            self._ask()

    def ended(self) -> Remembered:
        """Everything has been learnt: what is remembered."""
        while self._times:  # of what was dropped at the end, nothing was answered
            self._ask()
        return self.remembered

    def _ask(self) -> None:
        self.remembered.points.append((self._times.popleft(), self._exam.hold(self._layers)))


class Replay(Labelled):
    """A source of the samples that a simulated run took. answered: called after each, with the number of the next."""

    def __init__(
        self, reader: Reader, chosen: Sequence[int], stop: Callable[[], bool] = lambda: False,
        answered: Callable[[int], None] = lambda number: None,
    ) -> None:  # fmt: skip
        self._reader, self._chosen, self._stop, self._told = reader, iter(chosen), stop, answered
        self._in_flight: deque[int] = deque()

    def take(self) -> Sample | None:
        if self._stop():
            raise KeyboardInterrupt
        number = next(self._chosen, None)
        if number is None:
            return None
        self._in_flight.append(number)
        return self._reader.sample(number)

    def waiting(self) -> bool:
        return True  # the order was decided in virtual time, and is repeated

    def ahead(self) -> None:
        """Nothing to prepare."""

    def answer(self, step: int, output: Tensor, there: float) -> None:
        self._reader.answered(output)
        self._told(self._in_flight.popleft() + 1)


def learn(
    stages: Sequence[StageSpec], schedule: Schedule, stream: Stream, chosen: Sequence[int], batch_size: int,
    stop: Callable[[], bool] = lambda: False, order: Sequence[bool] = (), exam: Exam | None = None,
) -> Learnt:  # fmt: skip
    """Trains a copy of what `stages` hold on samples `chosen` of `stream`.

    Args:
        stages: The stages; their task stays as it is.
        schedule: The order of the passes.
        stream: Gives the items.
        chosen: The numbers of the samples, from 0, in rising order.
        batch_size: Items per sample.
        stop: Asked for each sample; true raises `KeyboardInterrupt`.
        order: What an adaptive schedule decided, to be repeated.
        exam: Is held now and then, which changes nothing of what is learnt.

    Raises:
        UserError: The stream ends before the last of these samples.
        Diverged: A weight or an output stopped being finite.
        KeyboardInterrupt: `stop` said so.
    """
    task = stages[0].task.copy()
    stages = [replace(stage, task=task) for stage in stages]
    reader = Reader(stream, batch_size)
    examined = None if exam is None else Examined(exam, task.layers)
    told = (lambda number: None) if examined is None else lambda number: examined.answered(number * batch_size)
    source = Replay(reader, chosen, stop, told)
    pipeline = LocalEngine("cpu").open(Plan(stages, schedule, batch_size))
    try:
        learnt = train(pipeline, schedule, task, source, reader, batch_size, Order(order))
        if examined is None:
            return learnt
        return replace(learnt, remembered=examined.ended())
    finally:
        pipeline.close()


def train(
    pipeline: Pipeline, schedule: Schedule, task: Task, source: Source, reader: Reader, batch_size: int,
    order: Order | None = None,
) -> Learnt:  # fmt: skip
    """Runs all samples of `source`, which come from `reader`, through `pipeline`, which trains `task`."""
    coordinator = Coordinator(pipeline, schedule, task.rule.passes, batch_size=batch_size, seed=task.seed)
    coordinator.align(1)
    coordinator.train(source, task.lr, order=order)
    return Learnt(
        reader.indices,
        reader.predictions,
        reader.labels,
        weights_sha256(task.weights(pipeline.state())),
    )
