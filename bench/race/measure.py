"""`python -m bench.race`: how long each way of learning takes to the same test accuracy.

All learn the same convolutional network from the same items of CIFAR-10 ($PIPEPITA_DATA), in as many processes as there
are cores. The clock stands still while test items are looked at, and before the first step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.common import note
from bench.crew import Crew
from bench.gloo import united
from bench.race import backprop, ours
from bench.race.course import Course
from pipepita.experiments.depth_conv import CONTENDERS
from pipepita.machine import cores

SEEDS = (0, 1, 2)
# the best of three tries each, as fast as they will run: `python -m bench.race.tries`
RATES = {"bp": 0.001, "local, pred": 0.001, "pepita, learned F": 0.0003}
OURS = tuple(RATES)[1:]
_PIPELINES = [("GPipe", count) for count in (1, 2, 4)] + [("1F1B", count) for count in (2, 4)]
_TRIED_STEPS = 30  # to find the best schedule and number of micro-batches
_TIMEOUT = 1200.0  # of an epoch: more is a hang

Lap = tuple[float, float, float]  # seconds, processor seconds and test accuracy of an epoch


@dataclass(frozen=True)
class Contender:
    """A way of learning. run: with this seed; returns its laps. ours: whether it is a rule of pipepita's."""

    name: str
    run: Callable[[int], list[Lap]]
    ours: bool = False


def busy_seconds() -> float:
    """What all processors of this machine have worked since it started, in seconds, whoever made them."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _, _, interrupts, soft, _ = ticks
    return (user + nice + system + interrupts + soft) / 100


def backpropagation(
    name: str, course: Course, crew: Crew, size: int, way: str, *more: Any, lr: float = RATES["bp"]
) -> Contender:
    """Backpropagation in one of the ways of `backprop`, in so many processes."""

    def run(seed: int) -> list[Lap]:
        crew.ask(backprop.begin, [(way, (course, seed, lr, *more))] * size, _TIMEOUT)
        laps = []
        for epoch in range(1, course.epochs + 1):
            before = busy_seconds()
            answers = crew.ask(backprop.epoch, [(course, seed, epoch)] * size, _TIMEOUT)
            busy = busy_seconds() - before
            weights = {name: value for _, part in answers for name, value in part.items()}
            laps.append((answers[0][0], busy, course.accuracy(weights)))
        return laps

    return Contender(name, run)


def _best_pipeline(course: Course, crew: Crew, stages: int) -> tuple[str, int, str]:
    """The schedule, number of micro-batches and split into stages with the shortest steps."""
    seconds = {}
    for schedule, count in _PIPELINES:
        if schedule == "1F1B" and count < stages:
            continue  # it refuses
        for split in course.splits(stages):
            chosen = schedule, count, split
            crew.ask(backprop.begin, [("pipeline", (course, 0, RATES["bp"], *chosen))] * stages, _TIMEOUT)
            for _ in range(2):  # the first one warms up
                answers = crew.ask(backprop.epoch, [(course, 0, 1, _TRIED_STEPS)] * stages, _TIMEOUT)
            seconds[chosen] = answers[0][0]
            milliseconds = 1000 * answers[0][0] / _TRIED_STEPS
            note(f"{schedule}, {count} micro-batches, layers {split}: {milliseconds:.1f} ms a step")
    return min(seconds, key=lambda one: seconds[one])


def _best_split(rule: str, course: Course, engine: pp.RayEngine, stages: int) -> str:
    """The split into stages with which a rule's steps are shortest."""
    short = dataclasses.replace(course, items=2 * _TRIED_STEPS * course.batch, epochs=1)
    seconds = {}
    for split in course.splits(stages):
        seconds[split] = streaming(rule, short, engine, split).run(0)[-1][0]
        note(f"{rule}, layers {split}: {1000 * seconds[split] / short.steps:.1f} ms a step")
    return min(seconds, key=lambda one: seconds[one])


def streaming(rule: str, course: Course, engine: pp.RayEngine, split: str, lr: float | None = None) -> Contender:
    """One of our rules, streaming through stages that are split like this."""
    rate = RATES[rule] if lr is None else lr
    return Contender(
        f"{rule}, streaming, stages of {split} layers",
        lambda seed: ours.run(course, seed, CONTENDERS[rule].rule, rate, engine, split, busy_seconds),
        ours=True,
    )


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per contender, medians over the seeds; the highest accuracies that ours and backpropagation reach."""
    course, seeds, size = Course(items=2000, epochs=2) if quick else Course(), SEEDS[: 1 if quick else None], cores()
    stages = min(max(size, 2), len(course.layers()))
    with contextlib.ExitStack() as stack:
        alone, parallel, pipelined = (stack.enter_context(Crew(count)) for count in (1, size, stages))
        for crew, count in ((parallel, size), (pipelined, stages)):
            stack.enter_context(united(crew, count))
        more = min(stages + 1, len(course.layers()))  # stages share cores: one more evens them out
        engine = pp.RayEngine(more, device="cpu")
        stack.callback(engine.close)
        schedule, micro_batches, split = _best_pipeline(course, pipelined, stages)
        contenders = [
            *(
                backpropagation(
                    f"bp, one process, {threads} thread{'s' if threads > 1 else ''}", course, alone, 1, "one process",
                    threads,
                )
                for threads in sorted({1, size})
            ),
            backpropagation(
                f"bp, torch pipelining, {schedule}, {micro_batches} micro-batches, stages of {split} layers",
                course, pipelined, stages, "pipeline", schedule, micro_batches, split,
            ),
            backpropagation(
                f"bp, DistributedDataParallel, {size} processes", course, parallel, size, "parallel"
            ),
            *(
                streaming(rule, course, engine, _best_split(rule, course, engine, count))
                for rule, count in [*((rule, stages) for rule in OURS), *([(OURS[0], more)] if more > stages else [])]
            ),
        ]  # fmt: skip
        laps: dict[str, list[list[Lap]]] = {contender.name: [] for contender in contenders}
        for seed in seeds:
            for contender in contenders:
                laps[contender.name].append(contender.run(seed))
                last = laps[contender.name][-1]
                note(f"seed {seed}: {contender.name}: {last[-1][2]:.2f} % after {sum(s for s, _, _ in last):.0f} s")
                note(json.dumps(last))
    return rows(course, contenders, laps)


def rows(course: Course, contenders: Sequence[Contender], laps: dict[str, list[list[Lap]]]) -> list[dict[str, Any]]:
    """The table, medians over the seeds.

    For each of ours and each seed the target is the highest accuracy that it and every way of backpropagation reach.
    """

    def best(name: str, seed: int) -> float:
        return max(accuracy for _, _, accuracy in laps[name][seed])

    seeds = range(len(laps[contenders[0].name]))
    rivals = [contender.name for contender in contenders if not contender.ours]
    first: dict[str, str] = {}  # of each rule: the contender with as many stages as processes
    for contender in contenders:
        if contender.ours:
            first.setdefault(contender.name.partition(", streaming")[0], contender.name)
    targets = {name: [min(best(one, seed) for one in [name, *rivals]) for seed in seeds] for name in first.values()}
    table = []
    for contender in contenders:
        runs = laps[contender.name]
        seconds = statistics.median(second for run in runs for second, _, _ in run)
        row: dict[str, Any] = {"what": contender.name, "items/s": round(course.items / seconds)}
        row |= {"best, %": f"{statistics.median(best(contender.name, seed) for seed in seeds):.2f}"}
        for mine, wanted in targets.items():
            rule = mine.partition(", streaming")[0]
            words = f"{statistics.median(wanted):.2f} % ({rule})"
            reached = [to_accuracy(run, target) for run, target in zip(runs, wanted, strict=True)]
            known = [one for one in reached if one is not None]
            own = [to_accuracy(run, target) for run, target in zip(laps[mine], wanted, strict=True)]
            ratios = [one[0] / other[0] for one, other in zip(reached, own, strict=True) if one and other]
            for place, what in enumerate(("s", "epochs", "processor s")):
                values = [one[place] for one in known]
                row[f"{what} to {words}"] = statistics.median(values) if len(values) == len(runs) else None
            row[f"/ {rule}"] = statistics.median(ratios) if len(ratios) == len(runs) else None
        table.append(row)
    return table


def to_accuracy(run: Sequence[Lap], target: float) -> tuple[float, float, float] | None:
    """Seconds, epochs and processor seconds until the accuracy was reached, in equal steps between two tests.

    Example:
        >>> to_accuracy([(10.0, 20.0, 40.0), (10.0, 20.0, 60.0)], 50.0)
        (15.0, 1.5, 30.0)
    """
    seconds = busy = before = 0.0
    for epochs, (lap, worked, accuracy) in enumerate(run):
        if accuracy >= target:
            share = (target - before) / (accuracy - before) if epochs else 1.0
            return seconds + share * lap, epochs + share, busy + share * worked
        seconds, busy, before = seconds + lap, busy + worked, max(before, accuracy)
    return None
