"""Backpropagation by torch: in one process, as a pipeline, and in parallel on parts of each batch.

Each way is a class; a crew's processes hold one object of it each, and go through an epoch when they are asked to.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bench.race.course import Course

_way: Way | None = None  # of this process


class Way(Protocol):
    """A way to learn by backpropagation."""

    def step(self, x: Tensor, y: Tensor) -> None:
        """Learns from one batch."""

    def weights(self) -> dict[str, Tensor]:
        """Of the modules that this process holds, by their names in the whole network."""


def _adam(module: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=lr, fused=True)


class OneProcess:
    """The whole network in one process, in the memory layout that is fastest for convolutions."""

    def __init__(self, course: Course, seed: int, lr: float, threads: int) -> None:
        torch.set_num_threads(threads)
        self.model = course.model(seed).to(memory_format=torch.channels_last)
        self._optimizer, self._loss = _adam(self.model, lr), nn.CrossEntropyLoss()

    def step(self, x: Tensor, y: Tensor) -> None:
        self._optimizer.zero_grad()
        self._loss(self.model(x), y).backward()
        self._optimizer.step()

    def weights(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())


class Parallel(OneProcess):
    """DistributedDataParallel: each process has the whole network, and its part of every batch."""

    def __init__(self, course: Course, seed: int, lr: float) -> None:
        super().__init__(course, seed, lr, threads=1)
        self._plain = self.model
        self.model = nn.parallel.DistributedDataParallel(self.model)  # type: ignore[assignment]

    def step(self, x: Tensor, y: Tensor) -> None:
        part = slice(dist.get_rank(), None, dist.get_world_size())
        super().step(x[part], y[part])

    def weights(self) -> dict[str, Tensor]:
        return dict(self._plain.state_dict())


class _AsItLies(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous()


class _Contiguous(nn.Module):
    """Hands on activities and gradients in the layout that gloo can send."""

    def forward(self, x: Tensor) -> Tensor:
        return _AsItLies.apply(x)


class Pipeline:
    """torch.distributed.pipelining: each process has a part of the network."""

    def __init__(self, course: Course, seed: int, lr: float, schedule: str, micro_batches: int, split: str) -> None:
        from torch.distributed import pipelining  # here, because it takes two seconds and others need none of it

        torch.set_num_threads(1)
        rank, stages = dist.get_rank(), dist.get_world_size()
        self._module = course.part(seed, rank, split).to(memory_format=torch.channels_last)
        self._optimizer = _adam(self._module, lr)
        sends = nn.Sequential(_Contiguous(), self._module, _Contiguous())
        kind = {"GPipe": pipelining.ScheduleGPipe, "1F1B": pipelining.Schedule1F1B}[schedule]
        stage = pipelining.PipelineStage(sends, rank, stages, torch.device("cpu"))
        self._pipeline = kind(stage, micro_batches, nn.CrossEntropyLoss())
        self._first, self._last = rank == 0, rank == stages - 1

    def step(self, x: Tensor, y: Tensor) -> None:
        self._optimizer.zero_grad()
        given = (x,) if self._first else ()
        target, losses = (y, list[Any]()) if self._last else (None, None)
        self._pipeline.step(*given, target=target, losses=losses, return_outputs=False)
        self._optimizer.step()

    def weights(self) -> dict[str, Tensor]:
        return dict(self._module.state_dict())


WAYS = {"one process": OneProcess, "parallel": Parallel, "pipeline": Pipeline}


def begin(way: str, arguments: tuple[Any, ...]) -> None:
    """Makes the object of this process."""
    global _way
    _way = WAYS[way](*arguments)


def epoch(course: Course, seed: int, number: int, most_steps: int | None = None) -> tuple[float, dict[str, Any]]:
    """Goes through an epoch. Returns the seconds that it took, and the weights that this process holds."""
    assert _way is not None
    data = course.data()
    batches = course.order(seed, number).split(course.batch)[:most_steps]
    if dist.is_initialized():
        dist.barrier()
    began = time.perf_counter()
    for chosen in batches:
        _way.step(data.x_train[chosen], data.y_train[chosen])
    if dist.is_initialized():
        dist.barrier()
    seconds = time.perf_counter() - began
    # as arrays: tensors travel as file descriptors, through a folder that a killed process leaves behind
    return seconds, {name: tensor.detach().numpy().copy() for name, tensor in _way.weights().items()}
