"""`python -m bench.roofline`: the least time that the products of a step need here, and a step as it is.

Three tables: each step next to its roofline; where the time of a step goes; two stages next to one process.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import pipepita as pp
from bench.common import interleaved, note
from bench.roofline import needs
from bench.roofline.needs import KINDS, Product
from bench.roofline.pipeline import turn
from bench.roofline.split import split
from bench.step.measure import PepitaStep, backprop
from pipepita.machine import keep_freed_memory
from pipepita.network.cut import cut

BATCHES = (1, 64)
STAGES = 2
_MIB = 1 << 20


@dataclass(frozen=True)
class Net:
    """A network. everywhere: whether PEPITA's error enters at all layers, as it must in deep networks."""

    name: str
    spec: str
    shape: tuple[int, ...]
    everywhere: bool = False

    @property
    def rule(self) -> pp.Pepita:
        """PEPITA for this network."""
        return pp.Pepita(modulate="all" if self.everywhere else "input", feedback="fixed")


NETS = (
    Net("fc 784-512x8-10", "fc:512x8", (784,), everywhere=True),
    Net("fc 3072-1024-10, dropout 0.1", "fc:1024/dropout:0.1", (3072,)),
    Net("conv 32x5x5, pool 2, dropout 0.1", "conv:32,5/pool:2/dropout:0.1", (3, 32, 32)),
)


@dataclass(frozen=True)
class Measured:
    """A network at one batch size.

    Attributes:
        needed: What a step needs, by rule.
        step_ms: Milliseconds of a step, by rule.
        product_ms: Milliseconds of the products of each kind, by rule.
        bandwidth: Bytes per second.
        parts_us: Microseconds of the parts of a step, by rule.
    """

    needed: dict[str, list[Product]]
    step_ms: dict[str, float]
    product_ms: dict[str, dict[str, float]]
    bandwidth: float
    parts_us: dict[str, dict[str, float]]

    def least_ms(self, rule: str, kind: str) -> float:
        """What the products of a kind take, or their bytes, if these take longer."""
        moved = sum(product.bytes for product in self.needed[rule] if product.kind == kind)
        return max(self.product_ms[rule].get(kind, 0.0), 1000 * moved / self.bandwidth)

    def roofline_ms(self, rule: str) -> float:
        """What all of them take."""
        return sum(self.least_ms(rule, kind) for kind in KINDS)


def _measured(net: Net, batch: int, rounds: int, calls: int) -> Measured:
    layers = cut(pp.build(net.spec, net.shape, 10), net.shape, 10)
    x, y = torch.rand(batch, *net.shape), torch.randint(0, 10, (batch,))
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    needed = {
        "bp": needs.backpropagation(layers, batch),
        "pepita": needs.pepita(layers, batch, 10, net.everywhere),
    }
    steps: dict[str, Callable[[], object]] = {
        "bp": backprop(net.spec, net.shape, x, y),
        "pepita": PepitaStep(net.spec, net.shape, net.rule, "sgd", x, y),
    }
    runs = dict(steps)
    for rule, products in needed.items():
        for kind in sorted({product.kind for product in products}):
            runs[f"{rule}: {kind}"] = _all([product for product in products if product.kind == kind])
    # as many numbers as weights and velocities, which an update reads and writes
    numbers = sum(parameter.numel() for layer in layers for parameter in layer.parameters)
    a, b = torch.zeros(numbers), torch.zeros(numbers)
    runs["stream"] = lambda: a.add_(b)
    times = {name: statistics.median(values) for name, values in interleaved(runs, rounds, calls).items()}
    product_ms = {
        rule: {kind: times[f"{rule}: {kind}"] for kind in KINDS if f"{rule}: {kind}" in times} for rule in needed
    }
    return Measured(
        needed,
        {rule: times[rule] for rule in steps},
        product_ms,
        3 * 4 * numbers / times["stream"] * 1000,
        {rule: split(step) for rule, step in steps.items()},
    )


def _all(products: list[Product]) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode():
            for product in products:
                product.run()

    return run


def _roofline_row(measured: Measured, rule: str) -> dict[str, Any]:
    products = measured.needed[rule]
    flops, step, roofline = sum(one.flops for one in products), measured.step_ms[rule], measured.roofline_ms(rule)
    kinds = {product.kind for product in products}
    return {
        "GFLOP": flops / 1e9,
        "at GFLOP/s": flops / 1e6 / sum(measured.product_ms[rule].values()),
        "MiB": sum(one.bytes for one in products) / _MIB,
        "at GiB/s": measured.bandwidth / 1024 / _MIB,
        **{f"{kind}, ms": measured.least_ms(rule, kind) if kind in kinds else None for kind in KINDS},
        "roofline, ms": roofline,
        "step, ms": step,
        "step / roofline": step / roofline,
    }


def _split_row(measured: Measured, rule: str) -> dict[str, Any]:
    parts, step = measured.parts_us[rule], 1000 * measured.step_ms[rule]
    return {
        "step, us": round(step),
        "least, us": round(1000 * measured.roofline_ms(rule)),
        **{f"{part}, us": round(value) for part, value in parts.items()},
        "Python, us": round(step - sum(parts.values())),
    }


def _stages_row(net: Net, batch: int, engine: pp.RayEngine, rounds: int, steps: int) -> dict[str, Any]:
    """One process and two stages in turn: their ratio, and what the stages did."""
    model = pp.build(net.spec, net.shape, 10)
    pp.initialise(model, 0)
    local = pp.LocalEngine("cpu")
    turns = [
        [turn(model, net.shape, net.rule, batch, on, stages, steps) for on, stages in ((local, 1), (engine, STAGES))]
        for _ in range(rounds)
    ]
    did = sorted((two for _, two in turns), key=lambda two: two.step_ms)[rounds // 2].did
    return {
        "one process, ms": statistics.median(one.step_ms for one, _ in turns),
        "two stages, ms": statistics.median(two.step_ms for _, two in turns),
        "of twice one process": statistics.median(one.step_ms / two.step_ms / STAGES for one, two in turns),
        "passes, ms": [stage.passes for stage in did],
        "updates, ms": [stage.updates for stage in did],
        "sending, ms": [stage.sending for stage in did],
        "receiving and waiting, ms": [stage.receiving for stage in did],
    }


def measure(quick: bool) -> list[dict[str, Any]]:
    """The rows of the three tables, one after the other."""
    keep_freed_memory()  # for backpropagation, too
    torch.set_num_threads(1)
    rounds, calls, turns, steps = (2, 6, 1, 40) if quick else (15, 15, 7, 300)
    rooflines: list[dict[str, Any]] = []
    splits: list[dict[str, Any]] = []
    pipelines: list[dict[str, Any]] = []
    engine = pp.RayEngine(STAGES, device="cpu")
    try:
        for net in NETS:
            for batch in BATCHES:
                note(f"{net.name}, batch {batch}")
                case = {"net": net.name, "batch": batch}
                measured = _measured(net, batch, rounds, calls)
                for rule in measured.needed:
                    rooflines.append(case | {"rule": rule} | _roofline_row(measured, rule))
                    splits.append(case | {"rule": rule} | _split_row(measured, rule))
                pipelines.append(case | _stages_row(net, batch, engine, turns, steps))
    finally:
        engine.close()
    return rooflines + splits + pipelines
