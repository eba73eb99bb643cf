"""What a sample costs a device, counted: the operations and bytes of each pass, and what has to lie in memory.

It works for any rule. One sample runs through the layers. Every operation that torch carries out is counted by torch's
own formulas (`torch.utils.flop_counter`: 2 m n k for a matrix product), and every tensor that it reads or writes by its
bytes. On a device

    seconds  = max(flops / rate, bytes / bandwidth)                     the roofline (Williams et al. 2009)
               or what `measured` makes of it, if the device's passes were measured
    memory   = weights + optimizer state + feedback matrices
               + window x what a layer keeps of a sample in flight + a message in + a message out
    energy   = idle power x time + (active - idle power) x busy time    of all devices, over the samples learnt
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from pipepita.edge.devices.measured import CONVOLUTION, LINEAR, PHASES
from pipepita.edge.devices.profiles import DeviceProfile
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.task import Task
from pipepita.schedule.world import Cost
from pipepita.timeline.recorder import PASS, UPDATE, Silent

_FLOAT_BYTES = 4
_FREE = {"detach", "alias", "empty", "empty_like", "empty_strided"}  # no element is read or written


@dataclass(frozen=True)
class Work:
    """What is to be computed.

    Attributes:
        flops: Floating-point operations.
        bytes: Read and written.
        calls: How many tensor operations that takes.
        products: Those of `flops` that are part of products of matrices, or convolutions.
    """

    flops: float = 0.0
    bytes: float = 0.0
    calls: int = 0
    products: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops, self.bytes + other.bytes, self.calls + other.calls, self.products + other.products
        )

    def __sub__(self, other: Work) -> Work:
        return Work(
            self.flops - other.flops, self.bytes - other.bytes, self.calls - other.calls, self.products - other.products
        )

    def seconds(self, device: DeviceProfile) -> float:
        """Seconds on `device`: whichever of operations and bytes takes longer."""
        return max(self.flops / device.flops, self.bytes / device.bandwidth)


@dataclass(frozen=True)
class LayerWork:
    """One layer's work for a sample, and its memory in bytes.

    Attributes:
        standard, second, update: The work of the two passes and of the update.
        ahead: More of the standard pass if another sample is in flight at the layer, and its weights are predicted.
        fixed: Weights, optimizer state and feedback.
        kept: What stays of each sample in flight, without what came in.
        incoming, outgoing: The activities that come in and go out.
        kind: Of its linear map.
        batch: Items of the sample.
    """

    standard: Work
    second: Work
    update: Work
    fixed: int
    kept: int
    incoming: int
    outgoing: int
    kind: str = LINEAR
    batch: int = 1
    ahead: Work = Work()

    def cost(self, device: DeviceProfile, *, first: bool = False) -> Cost:
        """The cost on `device`, in seconds. first: whether it is the first layer there, which counts if measured."""
        works, measured = (self.standard, self.second, self.update), device.measured
        if measured is None:
            return Cost(*(work.seconds(device) for work in (*works, self.ahead)))
        standard, second, update = (
            measured.seconds(work, self.kind, phase, self.batch, first=first)
            for work, phase in zip(works, PHASES, strict=True)
        )
        return Cost(standard, second, update, measured.ahead(self.ahead, self.batch))


def memory(works: Sequence[LayerWork], window: int) -> int:
    """Bytes that a device needs for these neighbouring layers and `window` samples in flight."""
    first, last = works[0], works[-1]
    in_flight = first.incoming + sum(work.kept for work in works)
    return sum(work.fixed for work in works) + window * in_flight + first.incoming + last.outgoing


class _Counter(TorchDispatchMode):
    """Adds up what torch computes, reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.done = Work()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # nothing is compiled here; to check that, torch would import its compiler: seconds, and a folder in TMPDIR
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._overloadpacket.__name__.rstrip("_")
        packet = getattr(torch.ops.aten, name, func._overloadpacket)  # in place, it is the same product
        if packet not in flop_registry:
            with self:  # what is made of other operations is counted by them
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if name in _FREE or func.is_view:
            return out
        # what is overwritten whole is not read
        read_from = (args[name == "copy" :], [value for key, value in kwargs.items() if key != "out"])
        read = [leaf for leaf in tree_leaves(read_from) if isinstance(leaf, Tensor)]
        written = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        if packet in flop_registry:
            flops = products = flop_registry[packet](*args, **kwargs, out_val=out)
        else:  # one operation for each element that comes out
            flops, products = sum(tensor.numel() for tensor in written), 0
        self.done = self.done + Work(flops, sum(map(_bytes, (*read, *written))), 1, products)
        return out


class _Book(Silent):
    """A recorder that adds what was counted since the last lap to the layer and phase that it was for."""

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self.works: dict[tuple[int, str, int], Work] = defaultdict(Work)
        self._counter, self._before = counter, Work()
        self.lap = self._book

    def _book(self, phase: int, name: str, step: int, layer: int = 0) -> None:
        now = self._counter.done
        self.works[phase, name, layer] = self.works[phase, name, layer] + (now - self._before)
        self._before = now


def counted(task: Task, batch_size: int) -> list[LayerWork]:
    """The work of each layer of `task`, counted on a copy. That of looking ahead is 0 unless the task does so."""
    task = task.copy()
    layers = task.layers
    counter = _Counter()
    book = _Book(counter)
    first, *answers = task.rule.passes
    with compute_mode(task.threads):
        stage = stages(task, task.whole)[0].build(book)
        target = torch.eye(task.classes)[torch.arange(batch_size) % task.classes]
        x = torch.rand(batch_size, *layers[0].item_shape)
        known = set[int]()
        _storages([layer.parameters for layer in layers], known)
        fixed = [sum(map(_bytes, layer.parameters)) for layer in layers]
        drawn = [_storages(one.learner, known) for one in stage.trainers]  # its feedback matrix, if it has one
        _storages(x, known)
        with counter:
            output = stage.standard(0, x, target)
        kept = [_storages(one.learner, known) for one in stage.trainers]
        with counter:
            if first in task.rule.updates:
                stage.update(0, name=first)
            if answers:
                stage.second(0, None, output - target)
                stage.update(0, name=answers[-1])
        moments = [_storages((one.optimizers, one.ahead), known) for one in stage.trainers]
        works, ahead = dict(book.works), [Work() for _ in layers]
        if task.look_ahead and answers:
            with counter:
                stage.standard(1, x, target)  # as before
                once = dict(book.works)
                stage.standard(2, x, target)  # while the other one is in flight
            places = [(PASS, first, layer.number) for layer in layers]
            ahead = [book.works[at] - once[at] - works[at] for at in places]
    return [
        LayerWork(
            works[PASS, first, layer.number],
            works.get((PASS, answers[-1], layer.number), Work()) if answers else Work(),
            sum((works.get((UPDATE, name, layer.number), Work()) for name in task.rule.updates), Work()),
            fixed[index] + drawn[index] + moments[index],
            kept[index],
            _FLOAT_BYTES * batch_size * layer.width,
            _FLOAT_BYTES * batch_size * torch.Size(layer.out_shape).numel(),
            CONVOLUTION if len(layer.in_shape) == 3 else LINEAR,
            batch_size,
            ahead[index],
        )
        for index, layer in enumerate(layers)
    ]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _storages(holder: object, known: set[int]) -> int:
    """Bytes of the memory behind every tensor that `holder` holds, at any depth, and that is not `known` yet."""
    total, left, visited = 0, [holder], set[int]()
    while left:
        one = left.pop()
        if id(one) in visited or isinstance(one, type):
            continue
        visited.add(id(one))
        if isinstance(one, Tensor):
            storage = one.untyped_storage()
            if storage.data_ptr() not in known:
                known.add(storage.data_ptr())
                total += storage.nbytes()
        elif isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, list | tuple | set):
            left += one
        else:
            left += getattr(one, "__dict__", {}).values()
    return total
