"""How long passes of linear and convolutional layers take here: several sizes, and batches of 1, 8 and 64."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pipepita.edge.measured import BATCHES, CONVOLUTION, LINEAR, PHASES
from pipepita.edge.work import Work, counted
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.pipeline.task import Task
from pipepita.planning.costs import measured_costs
from pipepita.profiling.fit import Timed
from pipepita.rules import Pepita

Progress = Callable[[int, int, str], None]
_CLASSES = 10
# (kind, the shape of an item, hidden layers)
_NETWORKS = (
    *((LINEAR, (width,), f"fc:{width}x2") for width in (16, 32, 64, 128, 256, 512, 1024)),
    *((CONVOLUTION, (channels, 16, 16), f"(conv:{channels},3,1,1)x2/pool:4") for channels in (4, 16, 64)),
)
_ROUNDS = 3  # a device is quicker at times


class _Case(NamedTuple):
    kind: str
    shape: tuple[int, ...]
    network: str
    batch: int
    feedback: str


def timed(progress: Progress = lambda done, total, what: None, rounds: int = _ROUNDS) -> list[Timed]:
    """The passes of all layers of all networks: medians over some rounds, in each of which every network has its turn.

    By `Pepita`, with fixed and with learned projections, since rules differ little in what single operations take.
    """
    cases = [(case, _task(case)) for case in _cases()]
    works = [counted(task, case.batch) for case, task in cases]
    seconds = defaultdict[tuple[int, int, str], list[float]](list)
    for turn in range(rounds):
        for number, (case, task) in enumerate(cases):
            progress(turn * len(cases) + number, rounds * len(cases), f"{case.network}, batch {case.batch}")
            for layer, cost in enumerate(measured_costs(task, case.batch)):
                for phase, taken in zip(PHASES, (cost.standard, cost.modulated, cost.update), strict=True):
                    seconds[number, layer, phase].append(0.001 * taken)
    return [
        Timed(_kind(case, task, layer), phase, case.batch, not layer, work, median)
        for number, (case, task) in enumerate(cases)
        for layer, one in enumerate(works[number])
        for phase, work in _phases(one.standard, one.second, one.update)
        if work.calls and (median := statistics.median(seconds[number, layer, phase])) > 0
    ]


def _phases(*works: Work) -> Iterator[tuple[str, Work]]:
    yield from zip(PHASES, works, strict=True)


def _kind(case: _Case, task: Task, layer: int) -> str:
    """The output layer is always linear."""
    return LINEAR if layer == len(task.layers) - 1 else case.kind


def _cases() -> Iterator[_Case]:
    for kind, shape, network in _NETWORKS:
        for batch in BATCHES:
            for feedback in ("learned", "fixed"):
                yield _Case(kind, shape, network, batch, feedback)


def _task(case: _Case) -> Task:
    model = spec.build(case.network, case.shape, _CLASSES, dropout=0.0, normal=True)
    spec.initialise(model, 0)
    layers = cut(model, case.shape, _CLASSES)
    rule = Pepita(modulate="all", feedback=case.feedback)  # type: ignore[arg-type]
    return Task(layers, _CLASSES, rule.settled(len(layers)), "sgd:momentum=0.9", 0.0)
