"""The simulator compared with the same chain in real time, on actors and channels that are slowed down."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipepita.channels.delayed import wait_until
from pipepita.edge.arrivals import Queue, Taken
from pipepita.edge.deploy import emulated
from pipepita.edge.learning import Learnt, Reader, train
from pipepita.edge.scenario import Scenario
from pipepita.edge.setup import ALONE, Setup
from pipepita.edge.simulation import Outcome, Simulation
from pipepita.edge.timing import Timing, timing
from pipepita.engines.ray.engine import RayEngine
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.source import Labelled, Sample
from pipepita.pipeline.stage import stages
from pipepita.pipeline.wiring import Plan
from pipepita.progress import Progress, silent
from pipepita.schedule import locked
from pipepita.schedule.course import Arrival
from pipepita.schedule.decisions import Order
from pipepita.timeline.recorder import UPDATE

_WARM_UP = 8


@dataclass(frozen=True)
class Real:
    """One setup in real time, next to its simulation.

    Attributes:
        outcome: The simulation.
        timing: In real time. How busy the devices were, their power and the parts of latencies are not measured.
        learnt: In real time.
    """

    outcome: Outcome
    timing: Timing
    learnt: Learnt

    def differences(self) -> dict[str, float]:
        """Real time over simulation, minus 1, for throughput and for p50 and p95 of both latencies."""
        real, simulated = self.timing, self.outcome.timing
        pairs = {
            "throughput": (real.throughput, simulated.throughput),
            "prediction p50": (real.prediction.p50, simulated.prediction.p50),
            "prediction p95": (real.prediction.p95, simulated.prediction.p95),
            "update p50": (real.update.p50, simulated.update.p50),
            "update p95": (real.update.p95, simulated.update.p95),
        }
        return {name: mine / theirs - 1 for name, (mine, theirs) in pairs.items()}

    @property
    def same_samples(self) -> bool:
        """Whether the same samples entered. If samples are dropped, time decides which."""
        return self.learnt.indices == self.outcome.learnt.indices

    @property
    def same_weights(self) -> bool:
        """Whether both ended with the same bits, as they must if the same samples entered."""
        return self.learnt.weights_sha256 == self.outcome.learnt.weights_sha256


class Live(Labelled):
    """A source whose samples arrive in real time.

    began: returns when the run began, in seconds of this host's clock. taught_at_once: whether a sample needs its label
    to enter. stop: asked for each sample; true ends the source.

    Attributes:
        taken: Each sample as it entered, in seconds since the run began.
        known: When each output was known, in seconds since the run began.
    """

    def __init__(
        self, queue: Queue, reader: Reader, label_delay: float, began: Callable[[], float], *,
        taught_at_once: bool = False, stop: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._queue, self._reader, self._label_delay, self._began = queue, reader, label_delay, began
        self._taught_at_once, self._stop = taught_at_once, stop
        self.taken: list[Taken] = []
        self.known: list[float] = []

    def take(self) -> Sample | None:
        if self._stop():
            return None
        began = self._began()
        taken = self._queue.take(time.perf_counter() - began)
        if taken is None:
            return None
        sample = self._reader.sample(taken.number)
        wait_until(began + taken.entered)
        self.taken.append(taken)
        if self._taught_at_once:
            self._labelled(-1)
        return sample

    def waiting(self) -> bool:
        now = time.perf_counter() - self._began()
        return self._stop() or self._queue.arrival(now) <= now

    def ahead(self) -> None:
        """Nothing to prepare: the next sample may not have arrived yet."""

    def answer(self, step: int, output: Tensor, there: float) -> None:
        self.known.append(there - self._began())
        self._reader.answered(output)
        self._labelled(step)

    def _labelled(self, step: int) -> None:
        wait_until(self._began() + self.taken[step].arrived + self._label_delay)


def validate(
    simulation: Simulation,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
) -> list[Real]:
    """Runs every setup of `simulation`, except the one with one device, in real time.

    Args:
        simulation: What was simulated.
        progress: Called with (runs done, runs in all, what is next).
        stop: Asked for each sample; true drains the pipeline and raises `KeyboardInterrupt`.

    Raises:
        UserError: Links share air, which real time cannot do.
        RunError: A stage or a channel was lost.
        KeyboardInterrupt: `stop` said so.
    """
    chosen = [outcome for outcome in simulation.outcomes if outcome.setup.name != ALONE]
    runs = []
    engine = RayEngine(len(chosen[0].setup.parts), device="cpu")
    try:
        for number, outcome in enumerate(chosen):
            progress(number, len(chosen), f"{outcome.setup.name} in real time, about {outcome.timing.seconds:.0f} s")
            runs.append(_real(engine, simulation, outcome, stop))
    finally:
        engine.close()
    progress(len(chosen), len(chosen), "done")
    return runs


def _real(engine: RayEngine, simulation: Simulation, outcome: Outcome, stop: Callable[[], bool]) -> Real:
    scenario, setup, net = simulation.scenario, outcome.setup, simulation.network
    plain = Plan(stages(setup.task.copy(), setup.parts), setup.schedule, scenario.batch_size, scenario.samples)
    plan = emulated(setup.deployment(scenario.seed), plain)
    pipeline = engine.open(plan)
    try:
        arrivals = scenario.arriving(scenario.rate)
        reader = Reader(simulation.stream, scenario.batch_size)
        queue = Queue(arrivals, scenario.samples, scenario.queue, scenario.policy)
        _warm(pipeline, simulation)
        source = Live(
            queue, reader, scenario.label_delay, lambda: plan.origin.began,
            taught_at_once=len(net.passes) == 1, stop=stop,
        )  # fmt: skip
        # an order that adapts is repeated: decided anew, it would be another one
        learnt = train(pipeline, setup.schedule, setup.task, source, reader, scenario.batch_size, Order(outcome.order))
        if stop():
            raise KeyboardInterrupt
        updates = _updates(pipeline, plan.origin.began, len(source.taken))
    finally:
        pipeline.close()
    return Real(outcome, _timing(scenario, setup, source, updates), learnt)


def _warm(pipeline: Pipeline, simulation: Simulation) -> None:
    """Makes a few forward passes, because the first ones of a process take many times as long."""
    scenario, net = simulation.scenario, simulation.network
    x = torch.zeros(_WARM_UP * scenario.batch_size, *simulation.stream.item_shape)
    coordinator = Coordinator(pipeline, locked(), net.passes, batch_size=scenario.batch_size)
    coordinator.evaluate(x, torch.zeros(len(x), dtype=torch.int64))


def _updates(pipeline: Pipeline, began: float, samples: int) -> list[float]:
    """When the last layer had learnt from each sample, in seconds since the run began."""
    ends = [0] * samples
    for spans in pipeline.timeline():
        for row in spans.of(UPDATE):
            ends[row["step"]] = max(ends[row["step"]], int(row["end"]))
    return [end / 1e9 - began for end in ends]


def _timing(scenario: Scenario, setup: Setup, source: Live, updates: Sequence[float]) -> Timing:
    outputs = [Arrival(known, 0.0, 0.0) for known in source.known]
    ends = [Arrival(end, 0.0, 0.0) for end in updates]
    busy = [0.0] * len(setup.parts)
    return timing(source.taken, outputs, ends, [], busy, setup.chain.devices, scenario.samples)
