"""`simulate`: a chain of edge devices that learns online in virtual time, next to the alternatives.

scenario --> chain, layers of each device, costs of each pass, messages
         --> locked | relaxed | streaming | adaptive | the whole network on one device
               each: recurrences in virtual time (when does what happen, which samples are dropped)
                     the samples that entered, learnt from for real, in the schedule's order
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pipepita.edge import fan_in
from pipepita.edge.arrivals import Queue
from pipepita.edge.calibration import counted_cost, measured_cost
from pipepita.edge.devices.profiles import catalogue
from pipepita.edge.forgetting import Exam
from pipepita.edge.learning import NOTHING, Learnt, learn
from pipepita.edge.scenario import Scenario
from pipepita.edge.setup import Network, Setup, network, setups
from pipepita.edge.timing import Timing, settled_rate, timing
from pipepita.edge.world import ChainWorld
from pipepita.errors import UserError
from pipepita.pipeline.emulation import EmulatedSpec
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.stage import stages as stages_of
from pipepita.pipeline.task import Task
from pipepita.progress import Progress, silent
from pipepita.rules import Rule
from pipepita.schedule import Action
from pipepita.schedule.course import Course
from pipepita.schedule.recurrence import Seen, run
from pipepita.streams import Stream, prequential
from pipepita.streams import parse as parse_drift

_SHOWN_SAMPLES = 6  # on each side of the middle, for a picture
_CURVE_POINTS = 12
_CURVE_SAMPLES = 600

# stage, pass, and in seconds its begin, its end, and the end of its update
PassEvent = tuple[int, Action, float, float, float]


@dataclass(frozen=True)
class Point:
    """A setup's timing at one arrival rate, in samples per second."""

    rate: float
    timing: Timing


@dataclass
class Outcome:
    """The results of a setup.

    Attributes:
        capacity: The most samples per second that it can learn from; NaN if that is not known.
        curve: Its timing at other arrival rates.
        events: The passes of a few samples.
        order: What was decided, if the schedule adapts.
        shares: How each source fares, if there are several.
    """

    setup: Setup
    timing: Timing
    capacity: float
    learnt: Learnt
    curve: list[Point] = field(default_factory=list)
    events: list[PassEvent] = field(default_factory=list)
    order: list[bool] = field(default_factory=list)
    shares: list[fan_in.Share] = field(default_factory=list)


@dataclass
class Simulation:
    """What `simulate` returns.

    Attributes:
        alone: Why there is no setup with one device, or None if there is one.
    """

    scenario: Scenario
    stream: Stream
    network: Network
    outcomes: list[Outcome]
    alone: str | None


def course(
    setup: Setup, scenario: Scenario, rule: Rule, *,
    rate: float | None, samples: int, troubled: bool = True, seen: Seen | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Course, ChainWorld]:  # fmt: skip
    """One run in virtual time, at `rate` samples per second, or as fast as they are taken."""
    world = ChainWorld(
        setup.deployment(scenario.seed, troubled=troubled), setup.sizes,
        Queue(scenario.arriving(rate), samples, scenario.queue, scenario.policy),
        label_delay=scenario.label_delay, coordination=setup.coordinator.work(scenario.batch_size), wake=setup.wake,
        taught_at_once=len(rule.passes) == 1, stop=stop,
    )  # fmt: skip
    return run(setup.schedule, world, samples, rule, seen), world


def timed(setup: Setup, course: Course, world: ChainWorld, samples: int) -> Timing:
    """The figures of one run."""
    return timing(world.taken, course.outputs, course.updates, world.late, course.busy, setup.chain.devices, samples)


def simulate(
    scenario: Scenario,
    progress: Progress = silent,
    pictures: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> Simulation:
    """Simulates `scenario`. The same scenario gives the same result.

    Args:
        scenario: The chain, the network, the stream, and what goes wrong.
        progress: Called with (steps done, steps in all, what is next).
        pictures: Whether to compute what only pictures show: the curves over arrival rates, and the passes of some
            samples.
        stop: Asked for each sample; true raises `KeyboardInterrupt`.

    Raises:
        UserError: The scenario cannot be simulated.
        RunError: A device dies so often that it never ends a pass, or the stream has too few items of some classes.
        Diverged: A weight or an output stopped being finite.
        KeyboardInterrupt: `stop` said so.

    Example:
        >>> simulation = simulate(Scenario(samples=64, network="fc:16"), pictures=False)
        >>> [outcome.setup.name for outcome in simulation.outcomes]
        ['locked', 'relaxed', 'streaming', 'adaptive', 'one device']
    """
    items = scenario.samples * scenario.batch_size
    for drift in parse_drift(scenario.drift) if scenario.drift is not None else ():
        if drift.start >= items:
            raise UserError(f"drift {drift.label} begins at item {drift.start}, but only {items} arrive")
    stream = scenario.items(scenario.batch_size)
    prequential(stream.regression, detector=scenario.detector)  # a detector that does not suit shows here
    exam = Exam.of(scenario, stream) if scenario.forgetting else None
    net = network(scenario, stream)
    rule = net.task.rule
    cost = measured_cost(net.task, scenario.batch_size) if scenario.calibrate else counted_cost
    compared, alone = setups(scenario, net, catalogue(scenario.profiles), cost)
    steps, done = (3 if pictures else 2) * len(compared), 0
    learnt: dict[tuple[object, ...], Learnt] = {}
    outcomes = []

    def step(what: str) -> None:
        nonlocal done
        progress(done, steps, what)
        done += 1

    feeders = scenario.feeders()
    owners = scenario.owners() if feeders else []
    for setup in compared:
        step(f"{setup.name}: time")
        timeline, world = course(setup, scenario, rule, rate=scenario.rate, samples=scenario.samples, stop=stop)
        capacity = _capacity(setup, scenario, rule)
        outcome = Outcome(
            setup, timed(setup, timeline, world, scenario.samples), capacity, NOTHING, order=timeline.order
        )
        outcomes.append(outcome)
        step(f"{setup.name}: learning")
        chosen = [taken.number for taken in world.taken]
        if not scenario.timing_only:
            stages = split(setup.task, setup.parts, _forgotten(setup, scenario, rule))
            # the same samples in the same order give the same bits: relaxed learns what locked does
            forgets = [(len(s.layers), s.forgets) if isinstance(s, EmulatedSpec) else None for s in stages]
            key = (setup.schedule.window, setup.task.look_ahead, tuple(timeline.order), tuple(chosen), tuple(forgets))
            if key not in learnt:
                learnt[key] = learn(
                    stages, setup.schedule, stream, chosen, scenario.batch_size, stop, timeline.order, exam
                )
            outcome.learnt = learnt[key]
        if feeders:
            answered = _answered(outcome.learnt, owners, scenario.batch_size)
            outcome.shares = fan_in.shares(
                owners, len(feeders), world.taken, timeline.outputs, timeline.updates, answered
            )
        if pictures:
            outcome.events = _excerpt(setup, scenario, rule, len(chosen))
    for outcome in outcomes if pictures else ():
        step(f"{outcome.setup.name}: arrival rates")
        outcome.curve = curve(outcome.setup, scenario, rule, [one.capacity for one in outcomes])
    progress(steps, steps, "done")
    return Simulation(scenario, stream, net, outcomes, alone)


def _answered(learnt: Learnt, owners: Sequence[int], batch_size: int) -> list[tuple[int, bool]]:
    """Of each item that was predicted: which source it is of, and whether rightly."""
    answers = zip(learnt.indices, learnt.predictions, learnt.labels, strict=True)
    return [(owners[item // batch_size], said == label) for item, said, label in answers]


def _capacity(setup: Setup, scenario: Scenario, rule: Rule) -> float:
    """Samples per second that a setup learns from if one is always ready and nothing goes wrong."""
    samples = max(64, 6 * setup.schedule.in_flight(len(setup.parts), rule.passes))
    unhindered, _ = course(setup, scenario, rule, rate=None, samples=samples, troubled=False)
    return settled_rate([update.time for update in unhindered.updates])


def curve(setup: Setup, scenario: Scenario, rule: Rule, capacities: Sequence[float]) -> list[Point]:
    """The setup's timing at arrival rates from a tenth of the smallest capacity to beyond the largest.

    Without trouble, and at most some hundreds of samples each. Nothing if a capacity is not known.
    """
    samples = min(scenario.samples, _CURVE_SAMPLES)
    low, high = 0.1 * min(capacities), 1.3 * max(capacities)
    if not (math.isfinite(low) and math.isfinite(high)):
        return []
    rates = np.geomspace(low, high, _CURVE_POINTS)
    return [
        Point(rate, timed(setup, *course(setup, scenario, rule, rate=rate, samples=samples, troubled=False), samples))
        for rate in map(float, rates)
    ]


def split(task: Task, parts: Sequence[range], forgets: Sequence[frozenset[Action]]) -> Sequence[StageSpec]:
    """The network as the stages of a chain; or as one stage, which ends with the same bits, if no device forgets."""
    if not any(forgets):
        return stages_of(task, task.whole)
    return [EmulatedSpec(task, parts, index, forgets=gone) for index, gone in enumerate(forgets)]


def _forgotten(setup: Setup, scenario: Scenario, rule: Rule) -> list[frozenset[Action]]:
    """For each device, the passes before which it had forgotten what it had learnt. It takes another run to know."""
    if not any(trouble.kind == "die!" for trouble in setup.troubles):
        return [frozenset() for _ in setup.parts]
    begun: list[list[tuple[float, Action]]] = [[(0.0, Action("", -1))] for _ in setup.parts]

    def see(stage: int, action: Action, begin: float, end: float, free: float) -> None:
        begun[stage].append((begin, action))

    _, world = course(setup, scenario, rule, rate=scenario.rate, samples=scenario.samples, seen=see)
    return [
        frozenset(action for (before, _), (begin, action) in pairwise(passes) if fate.forgets(before, begin))
        for passes, fate in zip(begun, world.fates.devices, strict=True)
    ]


def _excerpt(setup: Setup, scenario: Scenario, rule: Rule, served: int) -> list[PassEvent]:
    """The passes of a few samples in the middle of a run, from running it again."""
    around = _SHOWN_SAMPLES + setup.schedule.in_flight(len(setup.parts), rule.passes)
    steps = range(served // 2 - around, served // 2 + around)
    events: list[PassEvent] = []

    def see(stage: int, action: Action, begin: float, end: float, free: float) -> None:
        if action.step in steps:
            events.append((stage, action, begin, end, free))

    course(setup, scenario, rule, rate=scenario.rate, samples=scenario.samples, seen=see)
    return events
