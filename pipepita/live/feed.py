"""What the coordinator reads: items as they arrive, some with labels, and what goes back to them.

inbox --> item with label ----------------------------------> learnt from, and predicted on the way
      --> item without ------> predicted, and kept until ...
      --> ... its label -----> learnt from
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pipepita.live.counts import Counts
from pipepita.live.entry import Entry, Prediction, Publish
from pipepita.live.inbox import Arrived, Inbox
from pipepita.live.items import Given, Id, Line
from pipepita.pipeline.source import Taken
from pipepita.streams.targets import ClassTargets, Scale, Targets

_LOOK_SECONDS = 0.05  # how long it waits for an item before it looks whether it should stop
_AT_ONCE = 64  # how often it looks for more


def no_lines(line: Line) -> Given | None:
    """For a source that gives items, and not lines."""
    raise AssertionError(f"nobody reads line {line.place}")


class Feed:
    """A source of samples for the coordinator. A sample is up to `batch_size` items that wait at the same time.

    Args:
        inbox: Where items arrive.
        batch_size: How many items a sample has at most.
        kept: How many items without labels are kept until theirs come; then the oldest are forgotten.
        counts: Told of everything.
        publish: Called with the predictions of each sample, in the order of arrival.
        read: Makes an item or a label of a line; None if it is of no use.
        number: The number of the next item, which is the id of one that has none.
        position: The number of the first line that no run before has used.
        targets: What labels are to the network, and its outputs to people; classes by default.

    Attributes:
        number: As above.
    """

    def __init__(
        self,
        inbox: Inbox,
        batch_size: int,
        kept: int,
        counts: Counts,
        publish: Publish,
        read: Callable[[Line], Given | None] = no_lines,
        number: int = 0,
        position: int = 0,
        targets: Targets | None = None,
    ) -> None:
        self._inbox, self._batch_size, self._most, self._counts = inbox, batch_size, kept, counts
        self._publish, self._read, self._targets = publish, read, targets or ClassTargets()
        self.number = number
        self._position = position
        self._ahead: deque[Given] = deque()  # what has been read, but not used yet
        self._unlabelled: dict[Id, Entry] = {}
        # of each sample with labels in flight, and without: its items, and what to know of the labels before them
        self._teaching: deque[tuple[list[Entry], Scale | None]] = deque()
        self._asking: deque[tuple[list[Entry], Scale | None]] = deque()

    def wait_for(self, entries: Iterable[Entry]) -> None:
        """Lets items that were predicted in an earlier run wait for their labels."""
        self._unlabelled |= {entry.id: entry for entry in entries}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, while nothing is in flight.

        position: the number of the first line that is still to be read. waiting: the items that wait for their labels.
        targets: what is known of the labels so far.
        """
        waiting = [[entry.id, entry.number, entry.predicted] for entry in self._unlabelled.values()]
        return {"position": self.position, "waiting": waiting, "targets": self._targets.state()}

    @property
    def position(self) -> int:
        """The number of the first line that has not been used."""
        return self._ahead[0].number if self._ahead else self._position

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._inbox.over and not self._ahead

    def waiting(self) -> bool:
        """Whether an item waits that `take` would return. What is of no use is read on the way, but only so much.

        If it said true for a label that nobody needs, `take` would wait for the next item, while outputs are late.
        """
        for _ in range(_AT_ONCE):
            while self._ahead and not self._of_use(self._ahead[0]):
                self._entry(self._ahead.popleft())  # which counts it
            if self._ahead or not (more := self._inbox.more(self._batch_size)):
                break
            self._look(*more)
        return bool(self._ahead)

    def take(self) -> Taken | None:
        """The next sample; None if nothing came for a short while."""
        entries: list[Entry] = []
        labelled = False
        for given in self._arriving():
            if entries and (given.y is not None) != labelled:
                self._ahead.appendleft(given)
                break
            if (entry := self._entry(given)) is not None:
                labelled = entry.label is not None
                entries.append(entry)
                if len(entries) == self._batch_size:
                    break
        if not entries:
            return None
        items, scale = torch.stack([entry.x for entry in entries]), self._targets.scale()
        if not labelled:
            self._asking.append((entries, scale))
            return items, None
        self._teaching.append((entries, scale))
        targets = self._targets.teach([entry.label for entry in entries if entry.label is not None])
        self._counts.scale = self._targets.scale()
        return items, targets

    def answer(self, step: int, output: Tensor, there: float) -> None:
        """Gets the output of a sample with labels."""
        entries, scale = self._teaching.popleft()
        self._counts.learnt += len(entries)
        self._predicted(entries, scale, output, there)

    def predicted(self, output: Tensor, there: float) -> None:
        """Gets the output of a sample without labels."""
        self._predicted(*self._asking.popleft(), output, there)

    def _arriving(self) -> Iterator[Given]:
        """What waits, or if nothing does, what comes within a short while. Of lines without use only some at once."""
        if not self._ahead:
            self._look(self._inbox.take(_LOOK_SECONDS))
        for _ in range(_AT_ONCE):
            while self._ahead:
                yield self._ahead.popleft()
            if not (more := self._inbox.more(self._batch_size)):
                return
            self._look(*more)

    def _look(self, *arrived: Arrived | None) -> None:
        """Reads what has arrived."""
        for one in arrived:
            given = self._read(one) if isinstance(one, Line) else one
            if one is not None:
                self._position = one.number + 1
            if given is not None:
                self._ahead.append(given)

    def _of_use(self, given: Given) -> bool:
        """Whether `_entry` makes an entry of it."""
        if given.x is None:
            return given.id in self._unlabelled
        return (self.number if given.id is None else given.id) not in self._unlabelled

    def _entry(self, given: Given) -> Entry | None:
        """The item that has arrived, or the one whose label has; None if it is of no use."""
        counts = self._counts
        if given.x is None:
            assert given.id is not None
            entry = self._unlabelled.pop(given.id, None)
            if entry is None:
                counts.odd["a label for no item that waits for one"] += 1
                return None
            entry.label = given.y
            self._score(entry)
            return entry
        name = self.number if given.id is None else given.id
        self.number += 1
        if name in self._unlabelled:
            counts.odd["an item with the id of another one that waits for its label"] += 1
            return None
        entry = Entry(name, given.x, given.at, given.y, number=given.number)
        if given.y is None:
            self._unlabelled[name] = entry
            if len(self._unlabelled) > self._most:
                del self._unlabelled[next(iter(self._unlabelled))]
                counts.odd["an item forgotten before its label came"] += 1
        return entry

    def _predicted(self, entries: list[Entry], scale: Scale | None, output: Tensor, there: float) -> None:
        chosen, predictions = self._targets.read(output, scale), list[Prediction]()
        # without a scale outputs are probabilities
        rows: Sequence[Tensor | None] = output.clone().unbind() if scale is None else [None] * len(entries)
        for entry, prediction, row in zip(entries, chosen, rows, strict=True):
            if entry.predicted is not None:  # it was predicted when it arrived
                continue
            entry.predicted = prediction
            milliseconds = 1000 * (there - entry.at)
            self._counts.prediction(milliseconds)
            self._score(entry)
            predictions.append(Prediction(entry.id, prediction, row, milliseconds))
        if predictions:
            self._publish(predictions)

    def _score(self, entry: Entry) -> None:
        """Counts the prediction, once both it and the label are known."""
        if entry.label is not None and entry.predicted is not None:
            self._counts.scored(entry.predicted, entry.label)
