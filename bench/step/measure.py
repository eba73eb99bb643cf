"""`python -m bench.step`: one PEPITA step against one autograd BP step of the same net, optimizer and threads."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import pipepita as pp
from bench.common import interleaved, ratio
from bench.step.paper import PaperLoop, feedback
from pipepita.network.cut import cut
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import MODULATED, STANDARD, relaxed

Shape = tuple[int, ...]

NETS = (
    ("fc 3072-1024-10", "fc:1024", (3072,), 64),
    ("conv 32x5x5, pool 2 (CIFAR)", "conv:32,5/pool:2", (3, 32, 32), 64),
    ("conv 32x5x5, pool 2 (MNIST)", "conv:32,5/pool:2", (1, 28, 28), 100),
)
LR = 0.01


class PepitaStep:
    """A callable that makes one whole step of the local engine: sample in, output, error back, update."""

    def __init__(self, spec: str, shape: Shape, rule: pp.Pepita, optimizer: str, x: Tensor, y: Tensor) -> None:
        model = pp.build(spec, shape, 10)
        pp.initialise(model, 0)
        layers = cut(model, shape, 10)
        task = Task(layers, 10, rule, optimizer, LR, threads=torch.get_num_threads())
        self.pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), relaxed(), len(x)))
        self.pipeline.train(0, LR)
        self.x, self.y, self.items, self.step = x, y, torch.arange(len(x)), 0

    def __call__(self) -> None:
        self.pipeline.samples.send(STANDARD, self.step, self.x)
        output = self.pipeline.outputs.receive().tensor
        assert output is not None  # a sample's message always carries one
        error = output.clone()
        error[self.items, self.y] -= 1
        for outlet in self.pipeline.signals[MODULATED]:
            outlet.send(MODULATED, self.step, error)
        self.step += 1


def backprop(spec: str, shape: Shape, x: Tensor, y: Tensor) -> Callable[[], None]:
    """A backpropagation step as it is usually written: zero_grad, forward, backward, step. The layout is that of x."""
    model = pp.build(spec, shape, 10)
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def paper_loop(spec: str, shape: Shape, x: Tensor, y: Tensor) -> PaperLoop:
    """The step that a reader of the paper would write."""
    model = pp.build(spec, shape, 10)
    pp.initialise(model, 0)
    return PaperLoop(model, feedback(math.prod(shape), 10), LR, x, y)


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per net and number of threads."""
    rounds, calls = (2, 3) if quick else (15, 15)
    difference, textbook = (pp.Pepita(form=form, modulate="input") for form in ("difference", "textbook"))
    rows = []
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        for name, spec, shape, batch in NETS:
            x, y = torch.rand(batch, *shape), torch.randint(0, 10, (batch,))
            runs: dict[str, Callable[[], object]] = {
                "bp": backprop(spec, shape, x, y),
                "pepita": PepitaStep(spec, shape, difference, "sgd", x, y),
                "paper's loop": paper_loop(spec, shape, x, y),
                "textbook": PepitaStep(spec, shape, textbook, "sgd", x, y),
                "through .grad": PepitaStep(spec, shape, difference, "sgd:momentum=0.9,dampening=0", x, y),
            }
            figures = interleaved(runs, rounds, calls)
            rows.append(
                {
                    "net": name,
                    "batch": batch,
                    "threads": threads,
                    **{f"{key}, ms": statistics.median(values) for key, values in figures.items()},
                    **{f"{key} / bp": ratio(figures, key, "bp") for key in list(runs)[1:]},
                    "pepita / paper's loop": ratio(figures, "pepita", "paper's loop"),
                }
            )
    return rows
