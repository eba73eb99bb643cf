"""Learning for real from the samples that a simulation let in: the local engine, in the schedule's order.

What is learnt depends on which samples entered and on the order of the passes, which the schedule fixes; on time it
does not depend. So the samples run through the same engine as a training job's, and its bits are those of any other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from pipepita.engines.local import LocalEngine
from pipepita.errors import UserError
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.source import Sample, Source
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs.checkpoint import weights_sha256
from pipepita.schedule import Schedule
from pipepita.streams import Stream


@dataclass(frozen=True)
class Learnt:
    """indices: which items of the stream came in. predictions: each item's class, before it was learnt from; labels."""

    indices: list[int]
    predictions: list[int]
    labels: list[int]
    weights_sha256: str


# what a simulation of time alone has learnt
NOTHING = Learnt([], [], [], "")


class Reader:
    """The samples of a stream, by number, in rising order: each `batch_size` items in a row.

    indices, labels: of the items read so far.
    """

    def __init__(self, stream: Stream, batch_size: int) -> None:
        self._stream, self._batch_size = stream, batch_size
        self._items = enumerate(iter(stream))
        self._here = 0
        self.indices: list[int] = []
        self.labels: list[int] = []

    def sample(self, number: int) -> Sample:
        """(B, *item_shape) float32 and (B,) int64; `UserError` where the stream ends before."""
        skipped = (number - self._here) * self._batch_size
        found = list(itertools.islice(self._items, skipped, skipped + self._batch_size))
        if len(found) < self._batch_size:
            raise UserError(f"stream {self._stream.name} ends before sample {number + 1}: ask for fewer --samples")
        self._here = number + 1
        labels = [y for _, (_, y) in found]
        self.indices += [index for index, _ in found]
        self.labels += labels
        return torch.stack([x for _, (x, _) in found]), torch.tensor(labels)


class Replay:
    """A source of the samples that a run took; keeps what is predicted of them."""

    def __init__(self, reader: Reader, chosen: Sequence[int], stop: Callable[[], bool] = lambda: False) -> None:
        self._reader, self._chosen, self._stop = reader, iter(chosen), stop
        self.predictions: list[Tensor] = []

    def take(self) -> Sample | None:
        if self._stop():
            raise KeyboardInterrupt
        number = next(self._chosen, None)
        return None if number is None else self._reader.sample(number)

    def ahead(self) -> None:
        """Nothing to get ready."""

    def answer(self, step: int, output: Tensor, there: float) -> None:
        self.predictions.append(output.argmax(1))


def learn(
    stages: Sequence[StageSpec], schedule: Schedule, stream: Stream, chosen: Sequence[int], batch_size: int,
    stop: Callable[[], bool] = lambda: False,
) -> Learnt:  # fmt: skip
    """Trains a copy of what `stages` hold on samples `chosen` of `stream`."""
    task = stages[0].task.copy()
    stages = [replace(stage, task=task) for stage in stages]
    reader = Reader(stream, batch_size)
    source = Replay(reader, chosen, stop)
    pipeline = LocalEngine("cpu").open(Plan(stages, schedule, batch_size))
    try:
        return train(pipeline, schedule, task, source, reader, batch_size)
    finally:
        pipeline.close()


class Predicting(Source, Protocol):
    """A source that keeps what is predicted: (B,) classes of each sample."""

    predictions: list[Tensor]


def train(
    pipeline: Pipeline, schedule: Schedule, task: Task, source: Predicting, reader: Reader, batch_size: int
) -> Learnt:
    """Runs all of `source`, which takes its samples from `reader`, through `pipeline`, which trains `task`."""
    coordinator = Coordinator(pipeline, schedule, task.rule.passes, batch_size=batch_size, seed=task.seed)
    coordinator.align(1)
    coordinator.train(source, task.lr)
    return Learnt(
        reader.indices,
        torch.cat(source.predictions).tolist() if source.predictions else [],
        reader.labels,
        weights_sha256(task.weights(pipeline.state())),
    )
