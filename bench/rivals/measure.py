"""`python -m bench.rivals`: PEPITA and backpropagation as pipelines, and both in one process.

All have the same deep net, batch and number of processes. Contenders take turns over several rounds, in processes that
live as long as the benchmark and wait on a pipe when it is not their turn.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import pipepita as pp
from bench.common import note
from bench.crew import Crew
from bench.gloo import united
from bench.rivals import backprop, pepita
from bench.rivals.net import Net
from bench.rivals.turn import Turn, together
from pipepita.errors import RunError
from pipepita.rules.pepita import Modulate
from pipepita.schedule import Schedule, make

STAGES = 2
MICRO_BATCHES = {"GPipe": (1, 2, 4, 8), "1F1B": (2, 4, 8)}  # 1F1B refuses fewer micro-batches than stages
_TURN_SECONDS = 120.0  # a turn takes a second or two: more is a hang


@dataclass(frozen=True)
class Contender:
    """What becomes one row.

    workers: how many processes, or threads of one process, could be busy at once. family: of several contenders of
    one family only the fastest is shown.
    """

    name: str
    turn: Callable[[], Turn]
    workers: int
    family: str = ""


def _pipelining(net: Net, crew: Crew, steps: int) -> list[Contender]:
    def contender(schedule: str, count: int) -> Contender:
        def turn() -> Turn:
            return together(crew.ask(backprop.stage_turn, [(net, schedule, count, steps)] * STAGES, _TURN_SECONDS))

        name = f"backprop, torch pipelining, {schedule}, {count} micro-batch{'es' if count > 1 else ''}"
        return Contender(name, turn, STAGES, family=schedule)

    return [contender(schedule, count) for schedule, counts in MICRO_BATCHES.items() for count in counts]


def _pepita(net: Net, engine: pp.RayEngine, steps: int) -> list[Contender]:
    def contender(schedule: Schedule, modulate: Modulate) -> Contender:
        name = f"PEPITA, {schedule.name}" + (f", window {schedule.window}" if schedule.window > 1 else "")
        return Contender(
            f"{name}, modulate {modulate}",
            lambda: pepita.engine_turn(net, engine, schedule, STAGES, steps, modulate=modulate),
            STAGES,
        )

    schedules = [make(name, STAGES) for name in ("locked", "relaxed", "streaming")]
    return [contender(schedule, modulate) for modulate in ("input", "all") for schedule in schedules]


def _in_process(net: Net, backprops: Crew, pepitas: Crew, steps: int) -> list[Contender]:
    def contender(name: str, crew: Crew, job: Callable[..., Turn], *arguments: Any) -> Contender:
        threads = int(arguments[0])

        def turn() -> Turn:
            return together(crew.ask(job, [(net, steps, *arguments)], _TURN_SECONDS))

        return Contender(f"{name}, in process, {threads} thread{'s' if threads > 1 else ''}", turn, threads)

    contenders = []
    for threads in sorted({1, torch.get_num_threads()}):
        contenders.append(contender("backprop", backprops, backprop.plain_turn, threads))
        for modulate in ("input", "all"):
            contenders.append(contender(f"PEPITA, modulate {modulate}", pepitas, pepita.local_turn, threads, modulate))
    return contenders


def _check(net: Net, crew: Crew) -> None:
    """`RunError` if the rival does not learn: its loss on one batch must fall."""
    for schedule in MICRO_BATCHES:
        answers = crew.ask(backprop.stage_repeats, [(net, schedule, 2, 20)] * STAGES, _TURN_SECONDS)
        losses, _ = answers[-1]
        if not losses[-1] < losses[0] / 2:
            raise RunError(f"{schedule} does not train: its loss went from {losses[0]:.3g} to {losses[-1]:.3g}")


def _fastest(contenders: list[Contender], turns: dict[str, list[Turn]]) -> list[Contender]:
    """`contenders` without the slower members of each family."""
    best: dict[str, Contender] = {}
    for contender in contenders:
        family = contender.family or contender.name
        rival = best.setdefault(family, contender)
        if _median_ms(turns[contender.name]) < _median_ms(turns[rival.name]):
            best[family] = contender
    return list(best.values())


def _median_ms(turns: list[Turn]) -> float:
    return statistics.median(turn.step_ms for turn in turns)


def _rows(net: Net, contenders: list[Contender], turns: dict[str, list[Turn]]) -> list[dict[str, Any]]:
    shown = _fastest(contenders, turns)
    base = turns[min((c.name for c in shown if c.family), key=lambda name: _median_ms(turns[name]))]
    rows = []
    for contender in shown:
        own = turns[contender.name]
        ms = _median_ms(own)
        rows.append(
            {
                "what": contender.name,
                "items/s": round(1000 * net.batch / ms),
                "ms a step": ms,
                "/ pipelining": statistics.median(b.step_ms / t.step_ms for t, b in zip(own, base, strict=True)),
                "memory, MiB": round(statistics.median(turn.memory for turn in own)),
                "idle": max(0.0, statistics.median(turn.idle(contender.workers) for turn in own)),
                "CPU ms a step": statistics.median(turn.cpu_ms for turn in own),
            }
        )
    return rows


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per contender; of each pipelining schedule only the best number of micro-batches."""
    rounds, steps = (2, 32) if quick else (7, 128)
    net = Net()
    with contextlib.ExitStack() as stack:
        stages = stack.enter_context(Crew(STAGES))
        stack.enter_context(united(stages, STAGES))
        backprops, pepitas = (stack.enter_context(Crew(1)) for _ in range(2))
        _check(net, stages)
        engine = pp.RayEngine(STAGES, device="cpu")
        stack.callback(engine.close)
        contenders = [
            *_pipelining(net, stages, steps),
            *_pepita(net, engine, steps),
            *_in_process(net, backprops, pepitas, steps),
        ]
        turns: dict[str, list[Turn]] = {contender.name: [] for contender in contenders}
        for number in range(1, rounds + 1):
            for contender in contenders:
                turns[contender.name].append(contender.turn())
            note(f"round {number} of {rounds}")
    for name, own in turns.items():
        note(f"{_median_ms(own):8.2f} ms a step  {name}")
    return _rows(net, contenders, turns)
