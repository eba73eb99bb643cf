"""A live source of samples, which is no data set."""

from __future__ import annotations

from collections.abc import Callable

import torch

import pipepita as pp


class Ticks:
    """A live source: it cannot give a sample twice."""

    def __init__(self, data: pp.Data, count: int, at: Callable[[int], None] = lambda number: None) -> None:
        self._data, self._left, self._at, self._given = data, count, at, 0
        self.answers: list[tuple[int, torch.Tensor]] = []

    def take(self):
        if self._given == self._left:
            return None
        self._at(self._given)
        chosen = torch.arange(self._given, self._given + 4) * 7 % len(self._data.x_train)
        self._given += 1
        return self._data.x_train[chosen], self._data.y_train[chosen]

    def ahead(self):
        pass

    def answer(self, step, output, there):
        self.answers.append((step, output.argmax(1)))
