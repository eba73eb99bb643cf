"""A stage: contiguous layers under one rule, each with its optimizer. Knows neither Ray nor channels.

Both engines drive the same `Stage`, which is what makes them equal to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.pipeline import optimizers
from pipepita.pipeline.emulation import Device, Pace, PacedLearner, Undisturbed
from pipepita.rules import Learner, Reads, Rule
from pipepita.schedule import Action, Flow, Group, Schedule
from pipepita.timeline.recorder import PASS, UPDATE, Recorder, Silent


class State(NamedTuple):
    """All that drained stages have learnt, on the CPU: with it, stages built anew go on to the same bits.

    weights: by state_dict key. optimizer: by layer and name ("1.weight.velocity"). memory: what the rule keeps beside.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    memory: dict[str, Tensor]

    @classmethod
    def merged(cls, parts: Iterable[State]) -> State:
        """One state of those of several stages."""
        whole = cls({}, {}, {})
        for part in parts:
            for mine, theirs in zip(whole, part, strict=True):
                mine.update(theirs)
        return whole

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The same as arrays on the same memory, for `of_arrays`: they travel through Ray in a fifth of the time."""
        return {name: {k: v.numpy() for k, v in part.items()} for name, part in self._asdict().items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, dict[str, np.ndarray]]) -> State:
        """A state of its own from what `arrays` gave."""
        return cls(**{name: {k: torch.from_numpy(v.copy()) for k, v in part.items()} for name, part in arrays.items()})

    def of(self, layers: Sequence[Layer]) -> State:
        """The part that is about `layers`."""
        prefixes = tuple(f"{layer.name}." for layer in layers)
        return State(*({k: v for k, v in part.items() if k.startswith(prefixes)} for part in self))


@dataclass
class StageSpec:
    """Everything that a stage is built from; plain enough to be sent to an actor.

    layers: contiguous, with their network-wide numbers. total: layers of the whole network. threads: intra-op threads
    of torch, which decide the bits as much as the seed does. paces: of the layers on emulated devices, one each.
    fate: what befalls the emulated device. forgets: the passes before which the stage loses all that it has learnt.
    """

    index: int
    layers: list[Layer]
    total: int
    classes: int
    rule: Rule
    optimizer: str
    lr: float
    seed: int
    device: str = "cpu"
    threads: int = 1
    paces: list[Pace | None] = field(default_factory=list)
    fate: Undisturbed | None = None
    forgets: frozenset[Action] = frozenset()


class Stage:
    """Runs passes and updates of its layers, each of them a lap of `recorder`. Call it inside `compute_mode`.

    learners, optimizers: one a layer.
    """

    def __init__(self, spec: StageSpec, recorder: Recorder | None = None) -> None:
        self.spec, self.recorder = spec, recorder or Silent()
        self._first, self._second = spec.rule.passes[0], spec.rule.passes[-1]
        self.device = torch.device(spec.device)
        for layer in spec.layers:
            layer.to(self.device)
        self._emulated = Device(spec.fate)
        paces = spec.paces or [None] * len(spec.layers)
        # a GPU works on after a call returns: a lap that is kept has to wait for it
        waits = self.device.type == "cuda" and not isinstance(self.recorder, Silent)
        self._lap = self._lap_when_done if waits else self.recorder.lap
        self.learners = [self._learner(layer, pace) for layer, pace in zip(spec.layers, paces, strict=True)]
        self.optimizers = [optimizers.make(spec.optimizer, layer, spec.lr) for layer in spec.layers]
        may_forget = bool(spec.forgets) or (spec.fate is not None and spec.fate.forgetful)
        self._drawn = [_copies(layer.state) for layer in spec.layers] if may_forget else []

    def _learner(self, layer: Layer, pace: Pace | None) -> Learner:
        spec = self.spec
        learner = spec.rule.learner(layer, spec.total, spec.classes, spec.seed)
        return learner if pace is None else PacedLearner(learner, pace, self._emulated)

    def _lap_when_done(self, phase: int, name: str, step: int, layer: int = 0) -> None:
        torch.cuda.synchronize(self.device)
        self.recorder.lap(phase, name, step, layer)

    def begin(self, lr: float, began: float = 0.0) -> None:
        """Training begins, with this learning rate. began: when the run did, for emulated devices, seconds."""
        self._emulated.began = began
        for optimizer in self.optimizers:
            optimizer.lr = lr

    def groups(self, schedule: Schedule) -> list[Group]:
        """The layers here that make each pass together under `schedule`."""
        return schedule.groups([layer.number - 1 for layer in self.spec.layers], self.spec.total, self.spec.rule.flow)

    def reads(self, name: str, group: Group) -> Reads:
        """What must arrive before pass `name` can run in `group`: from below it, from above it, by broadcast."""
        spec = self.spec
        wants = [spec.rule.reads(name, place + 1, spec.total) for place in range(group.start, group.stop)]
        return Reads(wants[0].upstream, wants[-1].downstream, any(want.signal for want in wants))

    def arrives(self, sent: int) -> None:
        """A message for the next pass is there, sent at `sent` nanoseconds; matters to emulated devices only."""
        self._emulated.arrives(sent)

    def standard(self, step: int, x: Tensor, target: Tensor | None = None, group: Group | None = None) -> Tensor:
        """The first pass through the layers of `group`, or all: (B, *in_shape) -> (B, *out_shape)."""
        self._remember_or_not(self._first, step)
        x = x.to(self.device)
        target = None if target is None else target.to(self.device)
        for learner in self._of(group):
            x = learner.standard(step, x, target)
            self._lap(PASS, self._first, step, learner.layer.number)
        return x

    def second(
        self, step: int, arriving: Tensor | None, error: Tensor | None, group: Group | None = None
    ) -> Tensor | None:
        """The second pass through the layers of `group`, or all, without the updates; what goes on, or None."""
        self._remember_or_not(self._second, step)
        arriving = None if arriving is None else arriving.to(self.device)
        error = None if error is None else error.to(self.device)
        learners = self._of(group)
        for learner in reversed(learners) if self.spec.rule.flow is Flow.DOWN else learners:
            arriving = learner.second(step, arriving, error)
            self._lap(PASS, self._second, step, learner.layer.number)
        return arriving

    def _remember_or_not(self, name: str, step: int) -> None:
        """Back to the weights from the start, and an optimizer that has seen nothing, where that befalls the stage."""
        if not self._drawn or not (Action(name, step) in self.spec.forgets or self._emulated.forgot()):
            return
        for layer, drawn, optimizer in zip(self.spec.layers, self._drawn, self.optimizers, strict=True):
            for key, value in layer.state.items():
                value.copy_(drawn[key])
            for moment in optimizer.state().values():
                moment.zero_()

    def update(self, step: int, group: Group | None = None, name: str | None = None) -> None:
        """Applies sample `step`'s update to every layer of `group`, or all. name: after which pass; the last."""
        chosen = self._place(group)
        for learner, optimizer in zip(self.learners[chosen], self.optimizers[chosen], strict=True):
            product = learner.product(step)
            if product is not None:
                optimizer.step(product)
                learner.updated()
            self._lap(UPDATE, name or self._second, step, learner.layer.number)

    def _of(self, group: Group | None) -> list[Learner]:
        return self.learners[self._place(group)]

    def _place(self, group: Group | None) -> slice:
        first = self.spec.layers[0].number - 1
        return slice(None) if group is None else slice(group.start - first, group.stop - first)

    def align(self, epoch: int, above: Tensor | None) -> Tensor:
        """Lets every layer align its feedback with the weights above it, where the rule does; from the top down.

        above: what the stage above returned.
        """
        for learner in reversed(self.learners):
            above = learner.align(epoch, above)  # type: ignore[attr-defined]
        assert above is not None
        return above.cpu()

    def evaluate(self, x: Tensor) -> Tensor:
        """The forward pass without dropout; keeps nothing."""
        x = x.to(self.device)
        for learner in self.learners:
            x = learner.evaluate(x)
        return x

    def state(self) -> State:
        """Copies of what the stage has learnt."""
        whole = State({}, {}, {})
        for layer, optimizer, learner in zip(self.spec.layers, self.optimizers, self.learners, strict=True):
            whole.weights.update(layer.state)
            whole.optimizer.update({f"{layer.name}.{key}": value for key, value in optimizer.state().items()})
            whole.memory.update(learner.memory())
        return State(*map(_copies, whole))

    def load(self, state: State) -> None:
        """Goes on from `state`, of drained stages that hold these layers, perhaps among others. `KeyError`."""
        with torch.inference_mode():
            for layer, optimizer, learner in zip(self.spec.layers, self.optimizers, self.learners, strict=True):
                prefix, mine = f"{layer.name}.", state.of([layer])
                for key, value in layer.state.items():
                    value.copy_(mine.weights[key])
                optimizer.load({key.removeprefix(prefix): value for key, value in mine.optimizer.items()})
                learner.remember(mine.memory)

    def non_finite(self) -> str | None:
        """The first layer here that holds a weight which is NaN or infinite, or None."""
        for layer in self.spec.layers:
            if not all(bool(torch.isfinite(parameter).all()) for parameter in layer.parameters):
                return f"layer {layer.number} (module {layer.name})"
        return None


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone() for key, value in tensors.items()}


@contextmanager
def compute_mode(threads: int) -> Iterator[None]:
    """No autograd, and `threads` intra-op threads in this thread of this process; restored afterwards."""
    before = torch.get_num_threads()
    if before != threads:
        torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        if before != threads:
            torch.set_num_threads(before)
