"""Items go through a drained pipeline, without dropout or learning, and their outputs are counted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from torch import Tensor

from pipepita.channels.channel import END, EVALUATE
from pipepita.errors import Diverged
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.source import Sample
from pipepita.pipeline.stage import compute_mode
from pipepita.pipeline.tally import Tally


def evaluate(pipeline: Pipeline, samples: Iterable[Sample], in_flight: int) -> Tally:
    """Sends `samples`, of at most the batch size, through `pipeline`.

    Args:
        pipeline: Without a sample in flight.
        samples: Items and labels.
        in_flight: How many are in flight at most.

    Returns:
        What the outputs add up to.

    Raises:
        Diverged: An output is not a number.
        RunError: The pipeline failed.
    """
    with compute_mode(pipeline.threads):
        return _evaluate(pipeline, samples, in_flight)


def _evaluate(pipeline: Pipeline, samples: Iterable[Sample], in_flight: int) -> Tally:
    tally, began = Tally(), time.perf_counter()
    expected: list[Tensor] = []  # the labels of the samples in flight
    pipeline.evaluate()
    for number, (items, labels) in enumerate(samples):
        if len(expected) == in_flight:
            _count(pipeline, expected.pop(0), tally)
        pipeline.samples.send(EVALUATE, number, items)
        expected.append(labels)
    while expected:
        _count(pipeline, expected.pop(0), tally)
    pipeline.samples.send(END, 0)
    pipeline.join()
    tally.seconds = time.perf_counter() - began
    if math.isnan(tally.loss):
        raise Diverged("the output for some test items is not finite, though all weights are")
    return tally


def _count(pipeline: Pipeline, labels: Tensor, tally: Tally) -> None:
    message = pipeline.outputs.receive()
    assert message.tensor is not None
    tally.add(message.tensor.cpu(), labels)
    message.release()
