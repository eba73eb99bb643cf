"""What a whole online run takes beside the passes of its layers.

in one process    | coordinator | standard ... | coordinator | second, update ... |     one after the other
apart             | coordinator |       | coordinator |                                 side by side, and messages
                       | receive, standard ..., send | receive, second, update ... |
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipepita.edge.devices.measured import Coordinator
from pipepita.engines import registry
from pipepita.profiling.explained import explained
from pipepita.profiling.trial import Ran, Trial, latency, run
from pipepita.progress import Progress, silent
from pipepita.schedule.forecast import messages
from pipepita.schedule.topology import Topology
from pipepita.timeline.recorder import RECEIVE

# few items that arrive one by one, to networks from small to large, and from shallow to deep
_SELDOM = (
    Trial((64,), "fc:16x2"),
    Trial((64,), "fc:64x6"),
    Trial((256,), "fc:256x4"),
    Trial((16, 16, 16), "(conv:16,3,1,1)x2/pool:4"),
    Trial((512,), "fc:512x2"),
)
_SAMPLES, _ROUNDS = 120, 3
_RATE = 0.3  # of what it takes
_APART_SAMPLES = 600


class Beside(NamedTuple):
    """What there is beside passes.

    Attributes:
        longer: By which share passes take longer on average than the median.
        together, apart: The coordinator in one process with the layers, and in one of its own.
        message: Seconds that a process works on each message between two.
    """

    longer: float
    together: Coordinator
    apart: Coordinator
    message: float


def beside(runs: Sequence[Ran], progress: Progress = silent) -> Beside:
    """Measures what a sample takes beside its passes, in seconds. It starts a Ray engine.

    Args:
        runs: Runs in this process, of samples that always wait.
        progress: Called with (runs done, runs in all, what runs next).

    Raises:
        UserError: The engine cannot be started as asked.
        RunError: An actor was lost.
    """
    rows = [[one.total, 1.0, one.trial.batch] for one in runs]
    longer, sample, item = explained(rows, [one.period - one.total for one in runs], [one.period for one in runs])
    steps, done = len(_SELDOM) * (_ROUNDS + 1), itertools.count()
    busy: dict[Trial, list[Ran]] = {trial: [] for trial in _SELDOM}
    idle: dict[Trial, list[float]] = {trial: [] for trial in _SELDOM}
    for _ in range(_ROUNDS):
        for trial in _SELDOM:
            progress(next(done), steps, f"{trial.network}, one by one")
            busy[trial].append(run(trial, _SAMPLES, window=1))
            idle[trial].append(latency(trial, _SAMPLES, _RATE / busy[trial][-1].period))
    standard = [(1 + longer) * statistics.median(one.standard for one in busy[trial]) for trial in _SELDOM]
    here = _waiting(standard, [statistics.median(idle[trial]) for trial in _SELDOM])
    full, calm = [], []
    engine = registry.make("ray", registry.Wanted(1))
    try:
        for trial in _SELDOM:
            progress(next(done), steps, f"{trial.network}, through an actor")
            full.append(run(trial, _APART_SAMPLES, engine=engine))
            calm.append(run(trial, _SAMPLES, rate=_RATE / full[-1].period, engine=engine).latency)
    finally:
        engine.close()
    message = statistics.median(map(_message, full))
    own = statistics.median(map(_own, full)) + message - item
    return Beside(
        longer, Coordinator(sample, item, *here), Coordinator(max(0.0, own), item, *_waiting(standard, calm)), message
    )


def _waiting(standard: Sequence[float], latencies: Sequence[float]) -> tuple[float, float]:
    """Seconds until a sample enters that arrives while nothing else is to do, and by which share its standard passes
    take longer then.
    """
    late = [whole - passes for whole, passes in zip(latencies, standard, strict=True)]
    wake, cold = explained([[1.0, passes] for passes in standard], late, latencies)
    return wake, cold


def _message(one: Ran) -> float:
    """What the stage takes to send a message, or to receive one that is there already."""
    shares = one.timeline.shares_ms(0, one.first)
    arriving, leaving = messages(Topology(one.task.rule, one.task.whole), 0, reports=False)
    return 0.001 * (shares["receive"] + shares["send"]) / (arriving.total + leaving.total)


def _own(one: Ran) -> float:
    """What the coordinator does for a sample, without receiving."""
    rows = one.timeline.coordinator.rows
    rows = rows[(rows["step"] >= one.first) & (rows["phase"] != RECEIVE)]
    return 1e-9 * float((rows["end"] - rows["begin"]).sum()) / len(np.unique(rows["step"]))
