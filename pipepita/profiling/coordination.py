"""How long the coordinator works on a sample: what a whole online run takes beside the passes of its layers."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

from pipepita.edge.setup import network
from pipepita.live.display import Complaints
from pipepita.live.job import OnlineJob
from pipepita.live.start import begin
from pipepita.planning.costs import measured_costs
from pipepita.runs.display import Observer
from pipepita.runs.reading import checked
from pipepita.schedule.world import Cost

_OPTIONS = {
    "stream": "random:64", "network": "fc:16x2", "rule": "pepita:modulate=all,feedback=learned", "lr": 0.0,
    "engine": "local", "window": 1,
}  # fmt: skip
_BATCHES = (1, 16)
_SAMPLES, _ROUNDS = 400, 3
_SELDOM, _SELDOM_RATE = 60, 50.0


def coordination(
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> tuple[float, float, float]:
    """Seconds of each sample, of each of its items more, and until the coordinator looks at one that arrives."""
    found: list[list[float]] = [[] for _ in _BATCHES]
    late: list[float] = []
    steps = _ROUNDS * (len(_BATCHES) + 1)
    for turn in range(_ROUNDS):
        for place, batch in enumerate(_BATCHES):
            progress(turn * (len(_BATCHES) + 1) + place, steps, f"online, batch {batch}")
            found[place].append(max(0.0, _whole(batch) - sum(cost.total for cost in _passes(batch))))
        progress((turn + 1) * (len(_BATCHES) + 1) - 1, steps, "online, one by one")
        late.append(_latency() - sum(cost.standard for cost in _passes(1)))
    one, many = map(statistics.median, found)
    item = max(0.0, (many - one) / (_BATCHES[1] - _BATCHES[0]))
    return max(0.0, one - item), item, max(0.0, statistics.median(late) - one / 2)


def _run(samples: int, **options: object) -> dict[str, Any]:
    """The summary of an online run as the command does it, with a folder, without whose files it would be quicker."""
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:  # noqa: PTH123
        job: OnlineJob = checked(OnlineJob, {**_OPTIONS, "samples": samples, "run_dir": f"{folder}/run", **options})
        return begin(job, nowhere, Complaints, Observer())(lambda: False)


def _whole(batch: int) -> float:
    """Seconds of a sample in a run."""
    return batch / float(_run(_SAMPLES, batch_size=batch)["items_per_second"])


def _latency() -> float:
    """Seconds from an item's arrival to its prediction, if the run has nothing else to do."""
    return 0.001 * float(_run(_SELDOM, rate=_SELDOM_RATE)["latency_ms"]["p50"])


def _passes(batch: int) -> list[Cost]:
    """Seconds of each layer's passes and updates of a sample."""
    job: OnlineJob = checked(OnlineJob, {**_OPTIONS, "batch_size": batch})
    net = network(job, job.items(1))
    return [cost * 0.001 for cost in measured_costs(net.task, batch)]
