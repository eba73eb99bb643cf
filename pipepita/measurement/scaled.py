"""`plan --devices`: what a measured layer, repeated many times, is predicted to do on many devices."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from pipepita.data import Data
from pipepita.edge.work import counted
from pipepita.errors import UserError
from pipepita.measurement.subject import task_of
from pipepita.planning.costs import measured_costs
from pipepita.planning.scale import OURS, RIVALS, Layer, Scaled, Wire, ours, parallel, pipelined
from pipepita.progress import Progress, silent
from pipepita.report import Report, Value, legend
from pipepita.rules import Backprop, Rule
from pipepita.runs.options.job import Options
from pipepita.schedule.topology import Travels
from pipepita.schedule.world import Cost

MOST_DEVICES, MOST_LAYERS = 1024, 1000
_FEWER = 8  # how many times smaller the second batch is with which backpropagation's passes are measured


def measure(model: nn.Sequential, data: Data, rule: Rule, settings: Options, progress: Progress = silent) -> Layer:
    """Measures and counts a hidden layer of `model`: the median one of those between the first and the last.

    Raises:
        UserError: There is no such layer.
    """
    batch = settings.batch_size
    fewer = max(1, batch // _FEWER)
    task, other = task_of(model, data, rule, settings), task_of(model, data, Backprop(), settings)
    if len(task.layers) < 3:
        raise UserError("the network has no layer between the first and the last: give it two hidden layers, or more")
    costs = []
    for done, (what, size) in enumerate(((task, batch), (other, batch), (other, fewer))):
        progress(done, 3, "measuring layers")
        costs.append(_median([cost * 0.001 for cost in measured_costs(what, size)[1:-1]]))
    whole, many, few = costs
    works = counted(task, batch)[1:-1]
    work = sorted(works, key=lambda one: one.standard.flops)[len(works) // 2]
    weights = max(sum(4 * one.numel() for one in layer.parameters) for layer in task.layers[1:-1])
    return Layer(
        whole, _line(many.standard, few.standard, batch, fewer), _line(many.modulated, few.modulated, batch, fewer),
        many.update, weights, work.fixed, work.kept, work.outgoing // batch,
    )  # fmt: skip


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        *(statistics.median(getattr(cost, name) for cost in costs) for name in ("standard", "modulated", "update"))
    )


def _line(many: float, few: float, batch: int, fewer: int) -> tuple[float, float]:
    """What a pass takes whatever its batch, and what it takes for each item."""
    slope = max(0.0, (many - few) / (batch - fewer)) if batch > fewer else 0.0
    return max(0.0, many - slope * batch), slope


def predict(
    layer: Layer, depths: Sequence[int], devices: int, batch: int, wire: Wire, rule: Travels
) -> dict[tuple[int, int, str], Scaled]:
    """What each way of training does, by (layers, devices, its name). devices: at most so many, 2, 4, 8 and so on."""
    found = {}
    for layers in depths:
        for count in powers(devices):
            for name in OURS:
                found[layers, count, name] = ours(name, layer, layers, count, batch, wire, rule)
            for name in RIVALS[:2]:
                found[layers, count, name] = pipelined(name, layer, layers, count, batch, wire)
            found[layers, count, RIVALS[2]] = parallel(layer, layers, count, batch, wire)
    return found


def powers(most: int) -> list[int]:
    """2, 4, 8 ... up to `most`, and `most` itself.

    Example:
        >>> powers(12)
        [2, 4, 8, 12]
    """
    return sorted({*(1 << power for power in range(1, most.bit_length()) if 1 << power <= most), most})


def reports(found: dict[tuple[int, int, str], Scaled], what: str, wire: Wire) -> dict[str, Report]:
    """The predictions as two tables: throughput, with a picture of one panel per depth; and memory."""
    names = [*OURS, *RIVALS]
    places = list(dict.fromkeys((layers, count) for layers, count, _ in found))

    def rows(figures: Callable[[Sequence[Scaled]], list[Value]]) -> list[list[Value]]:
        return [[*place, *figures([found[*place, name] for name in names])] for place in places]

    hop = f"A hop takes {1e6 * wire.delay:.4g} us, and {8e-6 * wire.rate:.4g} Mbit/s"
    return {
        "plan": Report(
            f"{what}: predicted items per second",
            ["layers", "devices", *names, "staleness"],
            rows(lambda here: [*(_rounded(one.items_per_second) for one in here), here[2].staleness]),
            [f"{hop}. Staleness is streaming's: how many updates a standard pass misses."],
            lambda figure: _draw(figure, found, names),
        ),
        "plan-memory": Report(
            f"{what}: predicted MiB on the fullest device",
            ["layers", "devices", *names],
            rows(lambda here: [round(one.memory / 2**20, 1) for one in here]),
            ["Weights, optimizer and feedback, what is kept of samples in flight, and messages."],
        ),
    }


def _rounded(value: float) -> Value:
    return round(value) if value >= 100 else round(value, 1)


def _draw(figure: Any, found: dict[tuple[int, int, str], Scaled], names: Sequence[str]) -> None:
    depths = list(dict.fromkeys(layers for layers, _, _ in found))
    for layers, axes in zip(depths, figure.subplots(1, len(depths), squeeze=False)[0], strict=True):
        counts = [count for depth, count, name in found if depth == layers and name == names[0]]
        for name in names:
            heights = [found[layers, count, name].items_per_second for count in counts]
            axes.plot(counts, heights, "o-" if name in OURS else "s--", markersize=3, label=name)
        axes.set(xscale="log", yscale="log", xlabel="devices", title=f"{layers} layers")
    figure.axes[0].set_ylabel("items per second")
    legend(figure.axes[-1])
