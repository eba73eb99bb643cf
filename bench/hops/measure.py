"""`python -m bench.hops`: a hop between two Ray actors over our channels, next to what else could carry a tensor.

A hop is half a ping-pong: one side writes a tensor where the other can read it and wakes it. Kinds take turns over
several rounds, each in a pair of processes of its own that lives as long as the benchmark and sleeps meanwhile.
"""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

import numpy as np

from bench.common import note
from bench.hops.actors import Run, actor_call, channel, compiled_graph, peers
from bench.hops.bare import bare, pipe
from bench.hops.gloo import gloo
from pipepita.engines.cluster import Cluster

SIZES = {"1 KB": 1 << 10, "64 KB": 1 << 16, "256 KB": 1 << 18, "1 MB": 1 << 20}
COUNTS = {True: (2, 400), False: (5, 2000)}  # quick or not: rounds, and ping-pongs of one measurement
FAILED = "failed"  # in place of every figure


def _start(stack: contextlib.ExitStack) -> dict[str, Run | None]:
    """Every kind of hop, ready to run; None for a Compiled Graph that this Ray does not have."""
    kinds: dict[str, Run | None] = {kind.__name__: stack.enter_context(kind()) for kind in (bare, pipe, gloo)}
    stack.callback(Cluster(None, 2, 0).close)
    actors = peers(2, cpus=1)
    kinds |= {name: channel(name, actors) for name in ("shared_memory", "tcp")}
    kinds["actor call"] = actor_call(actors)
    kinds["compiled graph"] = None
    try:
        kinds["compiled graph"] = stack.enter_context(compiled_graph(max(SIZES.values())))
    except Exception as error:  # experimental and deprecated: it may go in any way
        note(f"compiled graph: {error!r}")
    return kinds


def _round(kinds: dict[str, Run | None], size: int, count: int) -> dict[str, list[float]]:
    """One measurement of every kind; nothing for a Compiled Graph that does not answer, now and from then on."""
    times: dict[str, list[float]] = {}
    for kind, run in kinds.items():
        if run is None:
            continue
        try:
            times[kind] = run(size, count)
        except Exception as error:
            if kind != "compiled graph":
                raise
            note(f"compiled graph: {error!r}")
            kinds[kind] = None
    return times


def _rows(name: str, kinds: list[str], rounds: list[dict[str, list[float]]]) -> list[dict[str, Any]]:
    """A row a kind, for tensors of the size called `name`."""
    rows = []
    for kind in kinds:
        row: dict[str, Any] = {"size": name, "hop": kind, "p50, us": FAILED, "p99, us": FAILED, "p50 / bare": FAILED}
        if all(kind in times for times in rounds):
            every = [time for times in rounds for time in times[kind]]
            row["p50, us"], row["p99, us"] = (float(np.percentile(every, share)) for share in (50, 99))
            row["p50 / bare"] = statistics.median(
                statistics.median(times[kind]) / statistics.median(times["bare"]) for times in rounds
            )
        rows.append(row)
    return rows


def measure(quick: bool) -> list[dict[str, Any]]:
    """A row a size and kind of hop."""
    rounds, count = COUNTS[quick]
    with contextlib.ExitStack() as stack:
        kinds = _start(stack)
        rows = []
        for name, size in SIZES.items():
            rows += _rows(name, list(kinds), [_round(kinds, size, count) for _ in range(rounds)])
            note(name)
        return rows
