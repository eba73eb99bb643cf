"""How fast a deep network of equal layers learns on 2 to 1,024 devices: by each schedule of ours, and by its rivals.

    L layers on N devices, k = ceil(L / N) of them on the fullest, batches of B items, a hop h = delay + bytes / rate
    t(b) is what a pass takes for b items: a part that does not shrink with the batch, and a part per item

    locked         L (s + m) + k u + (2 N + 2) h         up the layers;   L s + k (m + u) + (N + 3) h  to all at once
    relaxed        L s + k (m + u) + (N + 1) h
    streaming      max(k (s + m + u), relaxed's / K)      K: samples in flight
    GPipe, 1F1B   (M + N - 1) (k f(B/M) + h)  +  (M + N - 1) (k g(B/M) + h)  +  k u         the best of M micro-batches
    data parallel  L f(B/N)  +  max(L g(B/N), 2 (N-1)/N weights / rate + 2 (N-1) delay)  +  L u          a ring's sum

s, m and u are our rule's standard pass, modulated pass and update of a layer, and f, g and u backpropagation's forward
pass, backward pass and update. Up to 16 devices, and for rules whose second pass goes down, or that have none,
`schedule.forecast` goes through every message instead of these three. Sources: GPipe (Huang et al. 2019),
1F1B (Narayanan et al. 2019), the ring all-reduce (Patarasuk & Yuan 2009). Pure; nothing here measures anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipepita import schedule as schedules
from pipepita.network.partition import balance
from pipepita.schedule import Flow, Schedule
from pipepita.schedule.forecast import Message, forecast
from pipepita.schedule.topology import Travels
from pipepita.schedule.world import Cost

_EXACT = 16  # so many stages are gone through message by message: with more it takes minutes
OURS = ("locked", "relaxed", "streaming")
RIVALS = ("GPipe", "1F1B", "data parallel")


@dataclass(frozen=True)
class Layer:
    """What one of the equal layers costs, in seconds and bytes.

    Attributes:
        whole: Passes and the update of our rule, for a whole batch.
        forward, backward, update: Backpropagation's: each is (seconds whatever the batch, seconds per item).
        weights: Bytes of its weights.
        fixed: Bytes of weights, optimizer state and feedback of our rule.
        kept: Bytes that our rule keeps of a batch in flight.
        activity: Bytes of an item's activity, which are sent to the next layer and kept by backpropagation.
    """

    whole: Cost
    forward: tuple[float, float]
    backward: tuple[float, float]
    update: float
    weights: int
    fixed: int
    kept: int
    activity: int


@dataclass(frozen=True)
class Wire:
    """Between two devices.

    Attributes:
        delay: Seconds.
        rate: Bytes per second.
    """

    delay: float = 0.0
    rate: float = math.inf

    def hop(self, count: float) -> float:
        """Seconds that `count` bytes take."""
        return self.delay + count / self.rate


@dataclass(frozen=True)
class Scaled:
    """What one way of training does on some devices.

    Attributes:
        items_per_second: Throughput.
        staleness: How many updates a standard pass misses.
        memory: Bytes on the fullest device.
    """

    items_per_second: float
    staleness: int
    memory: float


def ours(name: str, layer: Layer, layers: int, devices: int, batch: int, wire: Wire, rule: Travels) -> Scaled:
    """A schedule of ours, with as many samples in flight as fill the pipeline.

    Example:
        >>> from pipepita.schedule.topology import Route
        >>> one = Layer(Cost(1, 1), (0, 1), (0, 2), 0, 0, 0, 0, 0)
        >>> [ours(name, one, 8, 8, 1, Wire(), Route()).items_per_second for name in ("locked", "streaming")]
        [0.0625, 0.5]
    """
    stages = min(devices, layers)
    schedule = schedules.make(name, stages, None, rule.flow)
    hop, most = wire.hop(batch * layer.activity), -(-layers // stages)
    if stages > _EXACT and rule.flow in (Flow.UP, Flow.ALL):
        period = closed(schedule, layer.whole, layers, stages, hop, rule.flow)
    else:
        period = exact(schedule, layer.whole, layers, stages, hop, rule)
    return Scaled(
        batch / period, schedule.window - 1,
        most * (layer.fixed + schedule.window * layer.kept) + 2 * batch * layer.activity,
    )  # fmt: skip


def exact(schedule: Schedule, cost: Cost, layers: int, stages: int, hop: float, rule: Travels) -> float:
    """Seconds per sample, message by message."""
    # a stage's layers as one: what happens inside it, nobody else waits for
    costs = [cost * len(part) for part in balance([1.0] * layers, stages)]
    parts = [range(place, place + 1) for place in range(stages)]
    return forecast(schedule, costs, parts, rule, message=Message(wake=hop), cores=stages).period


def closed(schedule: Schedule, cost: Cost, layers: int, stages: int, hop: float, flow: Flow) -> float:
    """Seconds per sample, by the formulas at the top of this module.

    Example:
        >>> closed(schedules.relaxed(), Cost(1, 1), 32, 32, 0, Flow.UP), schedules.relaxed().name
        (33.0, 'relaxed')
    """
    most = -(-layers // stages)
    relaxed = layers * cost.standard + most * (cost.modulated + cost.update) + (stages + 1) * hop
    if schedule.name == "locked" and flow is Flow.ALL:
        return relaxed + 2 * hop
    if schedule.name == "locked":
        return layers * (cost.standard + cost.modulated) + most * cost.update + (2 * stages + 2) * hop
    return max(most * cost.total, relaxed / schedule.window)


def pipelined(name: str, layer: Layer, layers: int, devices: int, batch: int, wire: Wire) -> Scaled:
    """GPipe or 1F1B, with the number of micro-batches that is fastest.

    Example:
        >>> one = Layer(Cost(1, 1), (0, 1), (0, 2), 0, 0, 0, 0, 0)
        >>> pipelined("GPipe", one, 8, 8, 8, Wire()).items_per_second  # 8 items; 8 + 7 slots of 1 + 2
        0.17777777777777778
    """
    stages = min(devices, layers)
    most = -(-layers // stages)
    best, chosen = math.inf, 1
    for micro in _halves(batch):
        if name == "1F1B" and micro < stages and micro < batch:
            continue  # it needs as many as stages, or all that there are
        size = batch / micro
        hop = wire.hop(size * layer.activity) if stages > 1 else 0.0
        forward, backward = (most * (one[0] + one[1] * size) + hop for one in (layer.forward, layer.backward))
        seconds = (micro + stages - 1) * (forward + backward) + most * layer.update
        if seconds < best:
            best, chosen = seconds, micro
    held = batch if name == "GPipe" else batch / chosen * min(chosen, stages)
    # weights, their gradients and one moment of the optimizer
    return Scaled(batch / best, 0, most * (3 * layer.weights + held * layer.activity))


def parallel(layer: Layer, layers: int, devices: int, batch: int, wire: Wire) -> Scaled:
    """Data parallelism: each device has the whole network, and a part of every batch, of at least one item."""
    copies = min(devices, batch)
    size = batch / copies
    forward, backward = (layers * (one[0] + one[1] * size) for one in (layer.forward, layer.backward))
    total = layers * layer.weights
    summed = 2 * (copies - 1) * (total / copies / wire.rate + wire.delay)
    seconds = forward + max(backward, summed) + layers * layer.update
    return Scaled(batch / seconds, 0, 3 * total + size * layers * layer.activity)


def _halves(batch: int) -> Sequence[int]:
    """Numbers of micro-batches that are tried: powers of two, and one item each."""
    return sorted({*(1 << power for power in range(batch.bit_length()) if 1 << power <= batch), batch})
