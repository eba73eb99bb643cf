"""A stage: contiguous layers under one rule, each with its optimizer. It knows neither Ray nor channels.

Both engines use the same `Stage`, so that they end with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pipepita.machine import keep_freed_memory
from pipepita.network.layer import Layer
from pipepita.pipeline.state import State
from pipepita.pipeline.task import Task
from pipepita.pipeline.trainer import Trainer
from pipepita.rules import Learner
from pipepita.schedule import Group
from pipepita.schedule.topology import Topology
from pipepita.timeline.recorder import PASS, UPDATE, Recorder, Silent

if TYPE_CHECKING:
    from pipepita.channels.channel import Inlet


@dataclass(frozen=True)
class StageSpec:
    """What a stage is built from. It can be sent to an actor.

    Attributes:
        task: What all stages of the pipeline train together.
        parts: The layers of every stage, by their places in the network, from 0.
        index: Which of the stages this one is, from 0.
        device: Torch's name for the device.
    """

    task: Task
    parts: Sequence[range]
    index: int
    device: str = "cpu"

    @property
    def part(self) -> range:
        """The places of this stage's layers in the network, from 0."""
        return self.parts[self.index]

    @property
    def layers(self) -> Sequence[Layer]:
        """This stage's layers."""
        return self.task.layers[self.part.start : self.part.stop]

    @property
    def topology(self) -> Topology:
        """The topology of the whole pipeline."""
        return Topology(self.task.rule, self.parts)

    @property
    def last(self) -> bool:
        """Whether it holds the output layer."""
        return self.index == len(self.parts) - 1

    def alone(self) -> StageSpec:
        """The same without the layers of other stages, to be sent to an actor."""
        layers = [layer if place in self.part else None for place, layer in enumerate(self.task.layers)]
        return replace(self, task=replace(self.task, layers=cast(list[Layer], layers)))

    def build(self, recorder: Recorder | None = None) -> Stage:
        """Builds the stage; `recorder` records what it does when."""
        return Stage(self, recorder)


def stages(task: Task, parts: Sequence[range], devices: Sequence[str] | None = None) -> list[StageSpec]:
    """Divides `task` into stages that hold these `parts`, on these devices (by default the CPU)."""
    return [StageSpec(task, parts, index, devices[index] if devices else "cpu") for index in range(len(parts))]


class Stage:
    """Runs passes and updates of its layers. Call its methods inside `compute_mode`.

    Args:
        spec: What it is built from.
        recorder: Records the time of each layer's pass and update.

    Attributes:
        spec: What it was built from.
        layers: Its layers.
        recorder: As above.
        device: Where its tensors are.
        trainers: One per layer.
    """

    def __init__(self, spec: StageSpec, recorder: Recorder | None = None) -> None:
        task = spec.task
        self.spec, self.layers, self.recorder = spec, spec.layers, recorder or Silent()
        self._first, self._second = task.rule.passes[0], task.rule.passes[-1]
        self._downward = spec.topology.down(self._second)
        self.device = torch.device(spec.device)
        for layer in self.layers:
            layer.to(self.device)
        # a GPU continues to work after a call has returned, so a lap that is recorded must wait for it
        waits = self.device.type == "cuda" and not isinstance(self.recorder, Silent)
        self._lap = self._lap_when_done if waits else self.recorder.lap
        self.trainers = [Trainer(task, self._learner(layer)) for layer in self.layers]

    def _learner(self, layer: Layer) -> Learner:
        task = self.spec.task
        return task.rule.learner(layer, len(task.layers), task.classes, task.seed)

    def _lap_when_done(self, phase: int, name: str, step: int, layer: int = 0) -> None:
        torch.cuda.synchronize(self.device)
        self.recorder.lap(phase, name, step, layer)

    def inlet(self, source: int, inlet: Inlet) -> Inlet:
        """The receiving end of a channel from `source`, as this stage uses it. Here it is `inlet` itself."""
        return inlet

    def begin(self, lr: float) -> None:
        """Training begins with this learning rate."""
        for trainer in self.trainers:
            trainer.begin(lr)

    def standard(self, step: int, x: Tensor, target: Tensor | None = None, group: Group | None = None) -> Tensor:
        """The first pass through the layers of `group`, or through all: (B, *item_shape) to (B, *out_shape)."""
        x = x.to(self.device)
        target = None if target is None else target.to(self.device)
        for trainer in self.trainers[self._place(group)]:
            x = trainer.standard(step, x, target)
            self._lap(PASS, self._first, step, trainer.layer.number)
        return x

    def second(
        self, step: int, arriving: Tensor | None, error: Tensor | None, group: Group | None = None
    ) -> Tensor | None:
        """The second pass through the layers of `group`, or through all, without updates; the message to the next."""
        arriving = None if arriving is None else arriving.to(self.device)
        error = None if error is None else error.to(self.device)
        trainers = self.trainers[self._place(group)]
        for trainer in reversed(trainers) if self._downward else trainers:
            arriving = trainer.learner.second(step, arriving, error)
            self._lap(PASS, self._second, step, trainer.layer.number)
        return arriving

    def update(self, step: int, group: Group | None = None, name: str | None = None) -> None:
        """Applies sample `step`'s update after pass `name` (by default the last) to the layers of `group`, or all."""
        for trainer in self.trainers[self._place(group)]:
            trainer.update(step, name or self._second)
            self._lap(UPDATE, name or self._second, step, trainer.layer.number)

    def _place(self, group: Group | None) -> slice:
        first = self.spec.part.start
        return slice(None) if group is None else slice(group.start - first, group.stop - first)

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """Lets every layer align its feedback with the weights above it, from the top layer down.

        Args:
            epoch: The epoch that begins, from 1.
            above: What this method of the stage above returned; None at the last stage.

        Returns:
            What the stage below gets as `above`.
        """
        for trainer in reversed(self.trainers):
            above = trainer.learner.align(epoch, above)
        return None if above is None else above.cpu()

    def evaluate(self, x: Tensor) -> Tensor:
        """The forward pass without dropout. Keeps nothing."""
        x = x.to(self.device)
        for trainer in self.trainers:
            x = trainer.learner.evaluate(x)
        return x

    def state(self) -> State:
        """Copies of what the stage has learnt."""
        return State(*map(copies, State.merged(trainer.state() for trainer in self.trainers)))

    def load(self, state: State) -> None:
        """Continues from `state`, which may hold other layers, too. Raises `KeyError` if a tensor is missing."""
        with torch.inference_mode():
            for trainer in self.trainers:
                trainer.load(state)

    def non_finite(self) -> str | None:
        """The name of the first layer of this stage with a weight that is NaN or infinite; None if there is none."""
        for trainer in self.trainers:
            if not trainer.finite():
                return f"layer {trainer.layer.number} (module {trainer.layer.name})"
        return None


def copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU."""
    return {key: value.detach().cpu().clone() for key, value in tensors.items()}


@contextmanager
def compute_mode(threads: int) -> Iterator[None]:
    """Switches autograd off and sets the number of torch's intra-op threads. Restores both afterwards."""
    keep_freed_memory()
    before = torch.get_num_threads()
    if before != threads:
        torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        if before != threads:
            torch.set_num_threads(before)
