"""What a chain remembers of earlier concepts: of the classes that came before, or of the stream before a drift.

The drifts of a stream divide it into concepts. Now and then, and at the end of each concept, the network answers items
of all concepts that it never learns from. With R[i][j] the accuracy on concept j once concept i has been learnt, and T
the last one,

    forgotten[j]       = R[j][j] - R[T][j]                       (Avalanche: forgetting)
    backward transfer  = mean of R[T][j] - R[j][j] over j < T    (Lopez-Paz & Ranzato 2017)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pipepita.edge.scenario import Scenario
from pipepita.errors import UserError
from pipepita.network.layer import Layer
from pipepita.streams import Stream

_MOST_ITEMS = 500  # of each concept
_POINTS = 20  # besides the ends of the concepts


class Concept(NamedTuple):
    """A part of the stream: from item `begin` to the one before `end`."""

    name: str
    begin: int
    end: int


@dataclass(frozen=True)
class Remembered:
    """What was remembered.

    Attributes:
        concepts: In their order.
        points: (how many items had arrived, the percent of each concept's items that were answered rightly), in order.
    """

    concepts: Sequence[Concept]
    points: list[tuple[int, list[float]]] = field(default_factory=list)

    def after(self, concept: int) -> list[float]:
        """R: the accuracy on each concept, in percent, once this one had been learnt."""
        end = self.concepts[concept].end
        return next((found for items, found in self.points if items >= end), self.points[-1][1])

    @property
    def forgotten(self) -> list[float]:
        """By how many points of percent the accuracy on each concept fell from its end to the end of the stream."""
        last = self.points[-1][1]
        return [self.after(place)[place] - last[place] for place in range(len(self.concepts))]

    @property
    def backward_transfer(self) -> float:
        """The mean gain over all concepts but the last, in points of percent; below 0 if they were forgotten."""
        earlier = self.forgotten[:-1]
        return -sum(earlier) / len(earlier)


class Exam:
    """Items of each concept that nobody learns from.

    Args:
        concepts: The concepts.
        stream: The same stream, with other items.
        length: How many items arrive in all. The last concept may end before, if a gradual drift goes on to the end.

    Attributes:
        concepts, length: As above.
    """

    def __init__(self, concepts: Sequence[Concept], stream: Stream, length: int) -> None:
        self.concepts, self.length = concepts, length
        items = enumerate(iter(stream))
        self._items: list[tuple[Tensor, Tensor]] = []
        for concept in concepts:
            there = itertools.dropwhile(lambda one, begin=concept.begin: one[0] < begin, items)  # type: ignore[misc]
            chosen = [item for _, item in itertools.islice(there, min(_MOST_ITEMS, concept.end - concept.begin))]
            self._items.append((torch.stack([x for x, _ in chosen]), torch.tensor([y for _, y in chosen])))

    @classmethod
    def of(cls, scenario: Scenario, stream: Stream) -> Exam:
        """For the stream of a scenario; `UserError` if it has no concepts, or no items to hold out."""
        if stream.regression:
            raise UserError(f"forgetting: the labels of {stream.name} are numbers; only classes can be forgotten")
        end = scenario.samples * scenario.batch_size
        concepts = divided(stream.marks, end)
        if len(concepts) < 2:
            if stream.marks:
                raise UserError(
                    f"forgetting: no drift is complete before the last of {end} items: let it end sooner, or ask for "
                    "more --samples"
                )
            raise UserError("forgetting needs --drift: without one there is nothing to forget")
        return cls(concepts, scenario.items(scenario.batch_size, held_out=True), end)

    def times(self) -> list[int]:
        """After how many arrived items the exam is held, but for the end."""
        regular = {self.length * place // _POINTS for place in range(1, _POINTS)}
        return sorted((regular | {concept.end for concept in self.concepts}) - {self.length})

    def hold(self, layers: Sequence[Layer]) -> list[float]:
        """The percent of each concept's items that a network answers rightly now. Nothing is learnt."""
        found = []
        with torch.inference_mode():
            for x, y in self._items:
                for layer in layers:
                    x = layer.evaluate(x)
                found.append(100 * float((x.argmax(1) == y).double().mean()))
        return found


def divided(marks: Sequence[tuple[int, str]], end: int) -> list[Concept]:
    """The concepts of a stream of `end` items. While a gradual drift goes on there is none.

    Example:
        >>> divided([(30, "remap"), (60, "noise:1 begins"), (80, "noise:1 complete")], 100)
        [Concept(name='at first', begin=0, end=30), Concept(name='remap', begin=30, end=60), \
Concept(name='noise:1 complete', begin=80, end=100)]
    """
    begins = [(0, "at first"), *(mark for mark in marks if 0 < mark[0] < end)]
    ends = [begin for begin, _ in begins[1:]] + [end]
    return [
        Concept(name, begin, until)
        for (begin, name), until in zip(begins, ends, strict=True)
        if until > begin and not name.endswith(" begins")
    ]
