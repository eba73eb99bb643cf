"""One layer of a stage: its learner, and what updates the weights of the layer and of its heads."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pipepita.pipeline import optimizers
from pipepita.pipeline.look_ahead import LookAhead
from pipepita.pipeline.optimizers import Optimizer, Trainable
from pipepita.pipeline.state import State
from pipepita.pipeline.task import Task
from pipepita.rules.learner import Learner


class Trainer:
    """Makes the passes and updates of one layer.

    Args:
        task: What is trained.
        learner: The layer's learner.

    Attributes:
        layer: The layer.
        learner: As above.
        optimizers: That of the layer, then those of its normalisations and of its heads.
        ahead: Its look-ahead, or None.
    """

    def __init__(self, task: Task, learner: Learner) -> None:
        self.layer, self.learner = learner.layer, learner
        self._last = task.rule.passes[-1]
        self.ahead = LookAhead(self.layer) if task.look_ahead else None
        self._maps: list[tuple[Trainable, float]] = [
            (self.layer, 1.0),
            *((affine, 1.0) for affine in self.layer.affines),
            *((head.map, head.rate) for head in learner.heads),
        ]
        self.optimizers: list[Optimizer] = [
            optimizers.make(task.optimizer, layer, task.lr * rate) for layer, rate in self._maps
        ]
        self._alone = len(self._maps) == 1 and self.ahead is None
        self._in_flight = 0

    def begin(self, lr: float) -> None:
        """Training begins, with this learning rate and no sample in flight."""
        self._in_flight = 0
        for optimizer, (_, rate) in zip(self.optimizers, self._maps, strict=True):
            optimizer.lr = lr * rate

    def standard(self, step: int, x: Tensor, target: Tensor | None) -> Tensor:
        """The first pass; with predicted weights, if the task says so."""
        if self.ahead is None:
            return self.learner.standard(step, x, target)
        with self.ahead.predicted(self._in_flight):
            sent = self.learner.standard(step, x, target)
        self._in_flight += 1
        return sent

    def update(self, step: int, name: str) -> None:
        """Applies sample `step`'s updates after pass `name`."""
        learner = self.learner
        if self._alone:  # the usual case, which small layers notice
            product = learner.product(step)
            if product is not None:
                self.optimizers[0].step(product)
                learner.updated()
            return
        products = [learner.product(step), *learner.affine_products(step), *learner.head_products(step)]
        if self.ahead is not None and products[0] is not None:
            self.ahead.before_update()
        for optimizer, product in zip(self.optimizers, products, strict=True):
            if product is not None:
                optimizer.step(product)
        if any(product is not None for product in products):
            self.learner.updated()
        if name == self._last:
            self._in_flight -= 1

    def state(self) -> State:
        """What the layer has learnt. The tensors are not copies."""
        whole = State({**self.layer.state}, {}, {**self.learner.memory()})
        for (layer, _), optimizer in zip(self._maps, self.optimizers, strict=True):
            whole.optimizer.update({f"{layer.name}.{key}": value for key, value in optimizer.state().items()})
        for head in self.learner.heads:
            whole.memory.update(head.map.state)
        if self.ahead is not None:
            whole.memory.update(self.ahead.state())
        return whole

    def load(self, state: State) -> None:
        """Continues from `state`, which may hold other layers, too. Raises `KeyError` if a tensor is missing."""
        mine = state.of([self.layer])
        self._put(mine)
        for (layer, _), optimizer in zip(self._maps, self.optimizers, strict=True):
            optimizer.load(_named(mine.optimizer, layer.name))
        if self.ahead is not None:
            self.ahead.load(mine.memory)
        self.learner.remember(mine.memory)

    def forget(self, initial: State) -> None:
        """Puts what the layer had learnt in `initial` back, and zeroes what the optimizers have learnt."""
        self._put(initial)
        for optimizer in self.optimizers:
            for tensor in optimizer.state().values():
                tensor.zero_()
        if self.ahead is not None:
            self.ahead.before_update()
        self.learner.remember(initial.memory)

    def _put(self, state: State) -> None:
        for key, value in self.layer.state.items():
            value.copy_(state.weights[key])
        for head in self.learner.heads:
            for key, value in head.map.state.items():
                value.copy_(state.memory[key])

    def finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return all(bool(torch.isfinite(parameter).all()) for parameter in self._weights())

    def _weights(self) -> Iterator[Tensor]:
        for layer, _ in self._maps:
            yield from layer.parameters


def _named(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors called "<name>.<parameter>.<x>", as "<parameter>.<x>": for a layer, not those of its heads."""
    prefix = f"{name}."
    own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    return {key: value for key, value in own.items() if key.count(".") == 1}
