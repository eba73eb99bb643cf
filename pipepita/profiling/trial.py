"""Online runs of small networks, as the command does them, of which everything is recorded.

What a layer takes between all that a run does beside it is more than what it takes alone: its weights and its code have
left the caches, and other threads of the process interrupt it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipepita.edge.setup import network
from pipepita.edge.work import LayerWork
from pipepita.errors import RunError
from pipepita.live.display import Complaints
from pipepita.live.job import OnlineJob
from pipepita.live.start import SWITCH_SECONDS, begin
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.task import Task
from pipepita.planning.costs import costs_of
from pipepita.runs.display import Observer
from pipepita.runs.options.reading import checked
from pipepita.schedule.world import Cost
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import PASS

_WARM_UP = 0.2  # the share of the samples that do not count


class Trial(NamedTuple):
    """A network, and what it learns from.

    Attributes:
        shape: Of an item.
        network: Its hidden layers.
        batch: How many items a sample has.
        rule: Which one hardly matters, since rules differ little in what single operations take.
    """

    shape: tuple[int, ...]
    network: str
    batch: int = 1
    rule: str = "pepita:modulate=all,feedback=learned"

    def options(
        self, run_dir: str, samples: int, rate: float | None, window: int | None, look_ahead: str = "auto"
    ) -> dict[str, Any]:
        """Those of the online run."""
        options = {
            "stream": f"random:{'x'.join(map(str, self.shape))}", "network": self.network, "batch_size": self.batch,
            "rule": self.rule, "lr": 0.0, "samples": samples, "run_dir": run_dir, "stages": 1, "engine": "local",
            "window": window, "look_ahead": look_ahead,
        }  # fmt: skip
        if rate is not None:
            options |= {"rate": rate, "arrivals": "fixed"}
        return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True)
class Ran:
    """One run of a trial. Times are in seconds.

    Attributes:
        task: What was learnt.
        works: What each layer computes for a sample.
        costs: Medians of each layer.
        period: Of a sample, on average.
        latency: From an item's arrival to its prediction, the median.
        timeline: What happened.
        first: The first sample that counts.
    """

    trial: Trial
    task: Task
    works: list[LayerWork]
    costs: list[Cost]
    period: float
    latency: float
    timeline: Timeline
    first: int

    @property
    def total(self) -> float:
        """All passes and updates of a sample."""
        return sum(cost.total for cost in self.costs)

    @property
    def standard(self) -> float:
        """The standard passes of all layers."""
        return sum(cost.standard for cost in self.costs)


class _Listener(Observer):
    def recorded(self, timeline: Timeline) -> None:
        self.timeline = timeline


@contextmanager
def _as_the_command() -> Iterator[None]:
    """As often as there, threads of the process take turns."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def run(
    trial: Trial, samples: int, *, rate: float | None = None, window: int | None = None, look_ahead: str = "auto",
    engine: Engine | None = None,
) -> Ran:  # fmt: skip
    """Runs a trial.

    Args:
        trial: The trial.
        samples: How many samples it learns from.
        rate: How many arrive per second; None for as many as it takes.
        window: How many samples are in flight at most; by default as many as online.
        look_ahead: Whether weights are predicted while several are in flight.
        engine: Where its one stage runs; by default in this process.
    """
    listener = _Listener()
    with tempfile.TemporaryDirectory() as folder, Path(folder, "predictions").open("w") as out, _as_the_command():
        options = trial.options(f"{folder}/run", samples, rate, window, look_ahead)
        job: OnlineJob = checked(OnlineJob, options | {"trace": f"{folder}/trace.json"})
        summary = begin(job, out, Complaints, listener, engine)(lambda: False)
    first, net = int(_WARM_UP * samples), network(job, job.items(1))
    costs = [cost * 0.001 for cost in costs_of(net.task, listener.timeline.stages, first)]
    answered = listener.timeline.coordinator.of(PASS)["end"][first:]
    period = 1e-9 * float(answered[-1] - answered[0]) / (len(answered) - 1)
    latency = 0.001 * float(summary["latency_ms"]["p50"])
    task, works = net.with_window(window or 1)
    return Ran(trial, task, works, costs, period, latency, listener.timeline, first)


def latency(trial: Trial, samples: int, rate: float) -> float:
    """Seconds from an item's arrival to its prediction: the median of a run with one sample in flight.

    The command runs in a process of its own. In this one, which has grown, it would take longer.

    Raises:
        RunError: The command failed.
    """
    with tempfile.TemporaryDirectory() as folder, Path(folder, "predictions").open("w") as out:
        options = trial.options(f"{folder}/run", samples, rate, 1)
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        command = [sys.executable, "-m", "pipepita", "online", *words]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RunError(f"an online run of {trial.network} failed: {(done.stderr.splitlines() or ['?'])[-1]}")
        return 0.001 * float(json.loads(Path(folder, "run/result.json").read_text())["latency_ms"]["p50"])
