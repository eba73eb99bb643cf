"""`python -m bench.plan.scale`: what `plan --devices` predicts for two devices, next to what two processes do here.

Networks of equal layers, in as many processes as there are cores for: two. Each way takes turns with the others over
several rounds; of each pipelining schedule the fastest number of micro-batches counts.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pipepita as pp
from bench.common import main, note
from bench.crew import Crew
from bench.gloo import united
from bench.hops.actors import Run, channel, peers
from bench.hops.gloo import gloo
from bench.rivals import backprop
from bench.rivals.measure import MICRO_BATCHES
from bench.rivals.net import Net
from bench.rivals.pepita import engine_turn
from bench.rivals.turn import Turn, together
from pipepita.engines.ray.cluster import Cluster
from pipepita.measurement import scaled
from pipepita.planning.scale import OURS, RIVALS, Wire
from pipepita.runs.options.job import Options
from pipepita.runs.options.reading import checked
from pipepita.schedule import make

DEVICES = 2
DEPTHS, WIDTHS, BATCHES = (8, 16), (256, 1024), (8, 64)
_SIZES = 1 << 10, 1 << 18  # bytes of messages that are timed
_TURN_SECONDS = 120.0


def _wire(run: Run) -> Wire:
    """A line through the times of a small and a large message."""
    small, large = (statistics.median(run(size, 2000)) * 1e-6 for size in _SIZES)
    return Wire(small, (_SIZES[1] - _SIZES[0]) / max(large - small, 1e-9))


@contextlib.contextmanager
def _shared_memory() -> Iterator[Run]:
    cluster = Cluster(None, 2, 0)
    try:
        yield channel("shared_memory", peers(2, cpus=1))
    finally:
        cluster.close()


def _ways(net: Net, crew: Crew, engine: pp.RayEngine, steps: int) -> dict[str, list[Callable[[], Turn]]]:
    """Every way as its turns; of several the fastest counts."""

    def ours(name: str) -> Callable[[], Turn]:
        schedule = make(name, DEVICES)
        return lambda: engine_turn(net, engine, schedule, DEVICES, steps, modulate="all")

    def crews(function: Callable[..., Turn], *arguments: Any) -> Callable[[], Turn]:
        return lambda: together(crew.ask(function, [(net, *arguments, steps)] * DEVICES, _TURN_SECONDS))

    return {
        **{name: [ours(name)] for name in OURS},
        **{
            name: [crews(backprop.stage_turn, name, count) for count in counts if count <= net.batch]
            for name, counts in MICRO_BATCHES.items()
        },
        RIVALS[2]: [crews(backprop.parallel_turn)],
    }


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per network, batch and way."""
    depths, widths, batches = ((8,), (256,), (64,)) if quick else (DEPTHS, WIDTHS, BATCHES)
    rounds = 1 if quick else 5
    rule = pp.Pepita(modulate="all", feedback="fixed")
    with gloo() as run:
        wires = {name: _wire(run) for name in RIVALS}
    with _shared_memory() as run:
        wires |= dict.fromkeys(OURS, _wire(run))
    for name in ("streaming", "GPipe"):
        note(f"a hop of {name}: {1e6 * wires[name].delay:.0f} us and {wires[name].rate / 1e9:.1f} GB/s")
    table = []
    with contextlib.ExitStack() as stack:
        crew = stack.enter_context(Crew(DEVICES))
        stack.enter_context(united(crew, DEVICES))
        engine = pp.RayEngine(DEVICES, device="cpu")
        stack.callback(engine.close)
        for depth, width, batch in ((d, w, b) for d in depths for w in widths for b in batches):
            # as many layers as predicted, all alike: the last one, which is small, comes on top
            net = Net(f"fc:{width}x{depth}", inputs=width, batch=batch)
            settings = checked(Options, {"batch_size": batch, "optimizer": "sgd", "lr": 0.01})
            layer = scaled.measure(net.model(), pp.load(f"random:{width}"), rule, settings)
            predicted = {
                name: scaled.predict(layer, [depth], DEVICES, batch, wire, rule.settled(depth))[depth, DEVICES, name]
                for name, wire in wires.items()
            }
            ways = _ways(net, crew, engine, max(32, 4096 // (depth * width // 64)))
            turns: dict[str, list[list[float]]] = {name: [[] for _ in those] for name, those in ways.items()}
            for _ in range(rounds):
                for name, those in ways.items():
                    for times, turn in zip(turns[name], those, strict=True):
                        times.append(turn().step_ms)
            for name, several in turns.items():
                measured = min(statistics.median(times) for times in several)
                expected = 1000 * batch / predicted[name].items_per_second
                table.append(
                    {"layers": depth, "width": width, "batch": batch, "way": name, "predicted, ms": expected}
                    | {"measured, ms": measured, "predicted / measured": expected / measured}
                )
            note(f"{depth} layers of {width}, batch {batch}")
    return table


if __name__ == "__main__":
    main(measure, __doc__)
