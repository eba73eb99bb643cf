"""Costs measured on this machine instead of counted: what a pass takes here, times how much slower a device is.

    seconds on a device = seconds here * FP32 rate here / FP32 rate of the device

where both rates are those of matrix products. Counted work knows only a layer's operations. A measurement also includes
what small matrices and many small calls cost. What predicting weights costs (`Cost.ahead`) is counted all the same.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from pipepita.edge.devices.profiles import DeviceProfile
from pipepita.edge.work import LayerWork
from pipepita.pipeline.stage import compute_mode
from pipepita.pipeline.task import Task
from pipepita.planning.costs import measured_costs
from pipepita.schedule.world import Cost

_SIZE, _ROUNDS = 768, 15

# of a layer, its number (from 0), the device, and whether it is the first layer there
CostOf = Callable[[LayerWork, int, DeviceProfile, bool], Cost]


def counted_cost(work: LayerWork, layer: int, device: DeviceProfile, first: bool) -> Cost:
    """The cost of a layer's counted work on `device`, in seconds."""
    return work.cost(device, first=first)


def measured_cost(task: Task, batch_size: int) -> CostOf:
    """Measures the layers of `task` on one thread; what it returns gives their costs on a device, in seconds."""
    here = rate()
    costs = [cost * 0.001 for cost in measured_costs(task, batch_size)]

    def cost(work: LayerWork, layer: int, device: DeviceProfile, first: bool) -> Cost:
        return replace(costs[layer] * (here / device.flops), ahead=work.ahead.seconds(device))

    return cost


def rate() -> float:
    """FP32 operations per second of matrix products on one thread of this machine: the median of several."""
    with compute_mode(1):
        left, right = torch.rand(_SIZE, _SIZE), torch.rand(_SIZE, _SIZE)
        seconds = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            torch.mm(left, right)
            seconds.append(time.perf_counter() - began)
    return 2 * _SIZE**3 / statistics.median(seconds)
