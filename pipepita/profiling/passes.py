"""How long passes of linear and convolutional layers take here: several sizes, and batches of 1, 8 and 64."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator

from pipepita.edge.devices.measured import BATCHES, PHASES
from pipepita.edge.work import Work
from pipepita.profiling.fit import Looked, Timed
from pipepita.profiling.trial import Ran, Trial, run
from pipepita.progress import Progress, silent

# (the shape of an item, hidden layers)
_LINEAR = tuple(((width,), f"fc:{width}x2") for width in (16, 32, 64, 128, 256, 512, 1024))
_NETWORKS = (
    *_LINEAR,
    ((1, 8, 8), "conv:4,3/pool:2/fc:16"),
    ((1, 12, 12), "conv:8,3/pool:2/fc:32"),
    ((3, 16, 16), "conv:32,3/pool:2/fc:64"),
    *(((channels, 16, 16), f"(conv:{channels},3,1,1)x2/pool:4") for channels in (4, 16, 64)),
)
_ROUNDS = 3  # a device is quicker at times
_SAMPLES = {1: 80, 8: 40, 64: 25}


def trials() -> Iterator[Trial]:
    """All that are measured."""
    for shape, network in _NETWORKS:
        for batch in BATCHES:
            for rule in ("pepita", "pepita:modulate=all,feedback=learned"):
                yield Trial(shape, network, batch, rule)


def ran(progress: Progress = silent) -> list[Ran]:
    """Runs all trials in this process, one sample after the other, over some rounds in which each has its turn."""
    every, found = [*trials()], []
    for turn in range(_ROUNDS):
        for number, trial in enumerate(every):
            progress(turn * len(every) + number, _ROUNDS * len(every), f"{trial.network}, batch {trial.batch}")
            found.append(run(trial, _SAMPLES[trial.batch], window=1))
    return found


def looked_ahead(progress: Progress = silent) -> list[Looked]:
    """By how much longer samples take at linear layers that predict their weights: medians over some rounds."""
    more, works = defaultdict[tuple[Trial, int], list[float]](list), dict[tuple[Trial, int], Work]()
    for turn in range(_ROUNDS):
        for number, (shape, network) in enumerate(_LINEAR):
            progress(turn * len(_LINEAR) + number, _ROUNDS * len(_LINEAR), f"{network}, looking ahead")
            trial = Trial(shape, network)
            without, looking = (run(trial, _SAMPLES[1], window=2, look_ahead=ahead) for ahead in ("off", "on"))
            for layer, (once, now) in enumerate(zip(without.costs, looking.costs, strict=True)):
                more[trial, layer].append(now.total - once.total)
                works[trial, layer] = looking.works[layer].ahead
    return [Looked(works[place], statistics.median(seconds)) for place, seconds in more.items()]


def timed(runs: list[Ran], longer: float = 0.0) -> list[Timed]:
    """The passes of all layers: medians over the rounds of what they took, and by which share longer on average."""
    seconds, first = defaultdict[tuple[Trial, int, str], list[float]](list), dict[Trial, Ran]()
    for one in runs:
        first.setdefault(one.trial, one)
        for layer, cost in enumerate(one.costs):
            for phase, taken in zip(PHASES, (cost.standard, cost.modulated, cost.update), strict=True):
                seconds[one.trial, layer, phase].append((1 + longer) * taken)
    return [
        Timed(works.kind, phase, trial.batch, not layer, work, median)
        for trial, one in first.items()
        for layer, works in enumerate(one.works)
        for phase, work in _phases(works.standard, works.second, works.update)
        if work.calls and (median := statistics.median(seconds[trial, layer, phase])) > 0
    ]


def _phases(*works: Work) -> Iterator[tuple[str, Work]]:
    yield from zip(PHASES, works, strict=True)
