"""`python -m bench.hops`: a hop between two Ray actors over our channels, next to other ways to move a tensor.

A hop is half of a ping-pong: one side writes a tensor where the other can read it, and wakes the other. The kinds of
hop take turns over several rounds. Each has its own pair of processes, which sleep while others run.
"""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

import numpy as np

from bench.common import note
from bench.hops.actors import Run, actor_call, channel, compiled_graph, peers, semaphores_removed
from bench.hops.bare import bare, pipe
from bench.hops.gloo import gloo
from pipepita.engines.ray.cluster import Cluster

SIZES = {"1 KB": 1 << 10, "64 KB": 1 << 16, "256 KB": 1 << 18, "1 MB": 1 << 20}
COUNTS = {True: (2, 400), False: (5, 2000)}  # by whether it is quick: rounds, and ping-pongs per measurement
FAILED = "failed"  # in place of every figure


def _start(stack: contextlib.ExitStack) -> dict[str, Run]:
    """Every kind of hop, ready to run."""
    kinds: dict[str, Run] = {kind.__name__: stack.enter_context(kind()) for kind in (bare, pipe, gloo)}
    stack.enter_context(semaphores_removed())
    stack.callback(Cluster(None, 2, 0).close)
    actors = peers(2, cpus=1)
    kinds |= {name: channel(name, actors) for name in ("shared_memory", "tcp", "tls")}
    return {**kinds, "actor call": actor_call(actors), "compiled graph": compiled_graph}


def _round(kinds: dict[str, Run], failed: set[str], size: int, count: int) -> dict[str, list[float]]:
    """One measurement of every kind that is not in `failed`. A Compiled Graph that fails is added to it."""
    times: dict[str, list[float]] = {}
    for kind, run in kinds.items():
        if kind in failed:
            continue
        try:
            times[kind] = run(size, count)
        except Exception as error:  # Compiled Graphs may be absent, raise anything, or time out
            if kind != "compiled graph":
                raise
            note(f"{kind}: {error!r}")
            failed.add(kind)
    return times


def _rows(name: str, kinds: list[str], rounds: list[dict[str, list[float]]]) -> list[dict[str, Any]]:
    """One row per kind, for tensors of the size called `name`."""
    rows = []
    for kind in kinds:
        row: dict[str, Any] = {"size": name, "hop": kind, "p50, us": FAILED, "p99, us": FAILED, "p50 / bare": FAILED}
        if all(kind in times for times in rounds):
            all_times = [time for times in rounds for time in times[kind]]
            row["p50, us"], row["p99, us"] = (float(np.percentile(all_times, share)) for share in (50, 99))
            row["p50 / bare"] = statistics.median(
                statistics.median(times[kind]) / statistics.median(times["bare"]) for times in rounds
            )
        rows.append(row)
    return rows


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per size and kind of hop."""
    rounds, count = COUNTS[quick]
    with contextlib.ExitStack() as stack:
        kinds, failed = _start(stack), set[str]()
        rows = []
        for name, size in SIZES.items():
            rows += _rows(name, list(kinds), [_round(kinds, failed, size, count) for _ in range(rounds)])
            note(name)
        return rows
