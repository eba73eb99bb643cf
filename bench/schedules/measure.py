"""`python -m bench.schedules`: locked, relaxed and streaming over depth, width, batch and stages.

A row is one `pipepita latency`, whose runs take turns round by round. One engine serves all rows.
"""

from __future__ import annotations

from typing import Any

import pipepita as pp
from bench.common import note

DEPTHS, WIDTHS, BATCHES = (2, 4, 8, 16, 32), (64, 256, 1024), (1, 64)


def cases(quick: bool) -> list[tuple[int, int, int, int]]:
    """(layers, width, batch, stages): two stages, and one per layer."""
    depths, widths, batches = ((2, 8), (64, 256), (1, 64)) if quick else (DEPTHS, WIDTHS, BATCHES)
    return [
        (depth, width, batch, stages)
        for depth in depths
        for width in widths
        for batch in batches
        for stages in sorted({2, depth})
    ]


def row(layers: int, width: int, batch: int, stages: int, engine: pp.RayEngine, quick: bool) -> dict[str, Any]:
    """The figures of one network, as one row."""
    model = pp.build(f"fc:{width}x{layers - 1}", (784,), 10)
    summary = pp.latency(
        model, "random:784", rule=pp.Pepita(modulate="input"), optimizer="sgd:momentum=0.9", batch_size=batch,
        stages=stages, engine=engine, rounds=1 if quick else 3, seconds=0.1 if quick else 0.3,
    ).summary  # fmt: skip
    locked, relaxed, streaming = (summary["schedules"][name] for name in ("locked", "relaxed", "streaming"))
    return {
        "layers": layers,
        "width": width,
        "batch": batch,
        "stages": stages,
        "locked, ms": locked["period_ms"],
        "relaxed, ms": relaxed["period_ms"],
        "streaming, ms": streaming["period_ms"],
        "relaxed / locked": relaxed["speedup"],
        "streaming / locked": streaming["speedup"],
        "its ceiling": streaming["ceiling_with_hops"],
        "one stage, ms": summary["one_stage"]["period_ms"],
        "in process, ms": summary["in_process"]["one_thread_ms"],
        "all threads, ms": summary["in_process"]["all_threads_ms"],
    }


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per network and number of stages."""
    todo = cases(quick)
    engine = pp.RayEngine(max(stages for *_, stages in todo), device="cpu")
    try:
        rows = []
        for number, case in enumerate(todo, 1):
            note("{}/{}: {} layers of {}, batch {}, {} stages".format(number, len(todo), *case))
            rows.append(row(*case, engine, quick))
        return rows
    finally:
        engine.close()
