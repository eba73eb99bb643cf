"""Backpropagation: in one process, and as stages by torch.distributed.pipelining."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from bench.rivals.net import Net
from bench.rivals.turn import Turn, memory_mib, warm_up

Step = Callable[[Tensor, Tensor], float | None]  # from a batch to the loss, if this process knows it


def _optimizer(module: nn.Module, net: Net) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=net.lr, momentum=0.9)


def plain(net: Net) -> tuple[nn.Module, Step]:
    """The whole net, and a training step as it is usually written."""
    model = net.model()
    optimizer, loss_of = _optimizer(model, net), nn.CrossEntropyLoss()

    def step(x: Tensor, y: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return model, step


def stage(net: Net, schedule: str, micro_batches: int) -> tuple[nn.Module, Step]:
    """This rank's part of the net, and its step. The last rank's step returns the loss."""
    from torch.distributed import pipelining  # here, because it takes two seconds and others need none of it

    rank, stages = dist.get_rank(), dist.get_world_size()
    module = net.part(rank, stages)
    optimizer = _optimizer(module, net)
    kind = {"GPipe": pipelining.ScheduleGPipe, "1F1B": pipelining.Schedule1F1B}[schedule]
    part = pipelining.PipelineStage(module, rank, stages, torch.device("cpu"))
    pipeline = kind(part, micro_batches, nn.CrossEntropyLoss())

    def step(x: Tensor, y: Tensor) -> float | None:
        optimizer.zero_grad()
        losses: list[Tensor] = []
        if rank == 0:
            pipeline.step(x, return_outputs=False)
        elif rank < stages - 1:
            pipeline.step()
        else:
            pipeline.step(target=y, losses=losses, return_outputs=False)
        optimizer.step()
        return float(torch.stack(losses).detach().mean()) if losses else None

    return module, step


def _timed(net: Net, step: Step, steps: int) -> Turn:
    """Makes `steps` steps, one slice of the data each. The first quarter of them does not count."""
    x, y = net.data(steps)
    first = warm_up(steps)
    began = cpu = 0.0
    for index in range(steps):
        if index == first:
            began, cpu = time.perf_counter(), time.process_time()
        items = slice(index * net.batch, (index + 1) * net.batch)
        step(x[items], y[items])
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Turn(steps - first, seconds, cpu, memory_mib(os.getpid()))


def plain_turn(net: Net, steps: int, threads: int) -> Turn:
    """One turn of in-process backpropagation."""
    torch.set_num_threads(threads)
    _, step = plain(net)
    return _timed(net, step, steps)


def stage_turn(net: Net, schedule: str, micro_batches: int, steps: int) -> Turn:
    """This rank's part of one turn of a pipelining schedule."""
    _, step = stage(net, schedule, micro_batches)
    return _timed(net, step, steps)


def parallel_turn(net: Net, steps: int) -> Turn:
    """This rank's part of one turn of DistributedDataParallel: the whole net, and a part of every batch."""
    model = nn.parallel.DistributedDataParallel(net.model())
    optimizer, loss_of = _optimizer(model, net), nn.CrossEntropyLoss()
    part = slice(dist.get_rank(), None, dist.get_world_size())

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        loss_of(model(x[part]), y[part]).backward()
        optimizer.step()

    return _timed(net, step, steps)


def stage_repeats(
    net: Net, schedule: str, micro_batches: int, steps: int
) -> tuple[list[float | None], list[np.ndarray]]:
    """Trains on one batch again and again. Returns the losses (None unless this is the last rank) and the weights."""
    module, step = stage(net, schedule, micro_batches)
    x, y = net.data(1)
    losses = [step(x, y) for _ in range(steps)]
    # as arrays: tensors travel as file descriptors, through a folder that a killed process leaves behind
    return losses, [parameter.detach().numpy() for parameter in module.parameters()]
