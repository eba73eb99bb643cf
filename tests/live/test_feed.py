import json

import torch

from pipepita.live.counts import Counts
from pipepita.live.entry import as_lines
from pipepita.live.feed import Feed
from pipepita.live.inbox import Inbox
from pipepita.live.items import Given
from pipepita.streams import ClassPrequential


class Desk:
    """A feed of what is given, and what comes out of it."""

    def __init__(self, *arrived: tuple, batch_size: int = 1, kept: int = 100) -> None:
        self.counts, self.published = Counts(ClassPrequential()), []
        inbox = Inbox(100, "block")
        self.feed = Feed(inbox, batch_size, kept, self.counts, self.published.extend)
        for name, x, y in arrived:
            inbox.put(Given(name, None if x is None else torch.tensor([x, x]), y, at=10.0))
        inbox.end()

    def taken(self) -> list[tuple[list[float], list[int] | None]]:
        found = []
        while (sample := self.feed.take()) is not None:
            items, labels = sample
            found.append((items[:, 0].tolist(), None if labels is None else labels.tolist()))
        return found


def output(*classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(classes), 3) * 0.9


def test_items_with_labels_are_samples_and_numbered():
    desk = Desk((None, 0.5, 1), ("b", 1.5, 2))
    assert desk.taken() == [([0.5], [1]), ([1.5], [2])] and desk.feed.over
    desk.feed.answer(0, output(1), there=10.25)
    desk.feed.answer(1, output(0), there=10.5)
    assert [(one.id, one.prediction, one.milliseconds) for one in desk.published] == [(0, 1, 250.0), ("b", 0, 500.0)]
    assert desk.counts.score.accuracy == 50 and desk.counts.learnt == 2
    line = '{"id":0,"prediction":1,"probabilities":[0.0,0.9,0.0],"ms":250.0}\n'
    assert as_lines(desk.published).startswith(line) and as_lines(desk.published).count("\n") == 2
    labels = [json.loads(text)["label"] for text in as_lines(desk.published, ["cat"]).splitlines()]
    assert labels == [None, "cat"]  # no item of class 1 has come yet


def test_a_label_that_comes_later_is_learnt_from_and_not_predicted_again():
    desk = Desk(("a", 0.5, None), ("b", 1.5, None), ("a", None, 1), ("b", None, 0))
    assert desk.taken() == [([0.5], None), ([1.5], None), ([0.5], [1]), ([1.5], [0])]
    desk.feed.predicted(output(1), 11.0)
    assert desk.counts.score.items == 1  # its label has come meanwhile
    desk.feed.predicted(output(2), 11.0)
    desk.feed.answer(0, output(0), 12.0)
    desk.feed.answer(1, output(0), 12.0)
    assert [(one.id, one.prediction) for one in desk.published] == [("a", 1), ("b", 2)]
    assert desk.counts.score.items == desk.counts.learnt == 2 and desk.counts.score.accuracy == 50


def test_what_waits_together_becomes_one_sample_if_it_is_of_one_kind():
    desk = Desk((1, 0.0, 0), (2, 1.0, 1), (3, 2.0, None), (4, 3.0, None), (3, None, 2), (5, 4.0, 0), batch_size=3)
    assert desk.taken() == [([0.0, 1.0], [0, 1]), ([2.0, 3.0], None), ([2.0, 4.0], [2, 0])]
    desk = Desk(*((number, float(number), 0) for number in range(5)), batch_size=2)
    assert [labels for _, labels in desk.taken()] == [[0, 0], [0, 0], [0]]


def test_what_cannot_be_used_is_counted():
    desk = Desk(("a", 0.5, None), ("a", 1.5, None), ("b", None, 1), ("a", None, 1), ("a", None, 2))
    assert desk.taken() == [([0.5], None), ([0.5], [1])]
    assert desk.counts.odd == {
        "an item with the id of another one that waits for its label": 1,
        "a label for no item that waits for one": 2,
    }


def test_items_without_labels_do_not_fill_the_memory():
    desk = Desk(("a", 0.5, None), ("b", 1.5, None), ("c", 2.5, None), ("a", None, 1), ("c", None, 1), kept=2)
    assert desk.taken()[3:] == [([2.5], [1])]
    assert desk.counts.odd["an item forgotten before its label came"] == 1


def test_what_cannot_be_used_does_not_wait():
    """Else the run would wait for the next item, and what is in flight with it."""
    desk = Desk(
        ("nobody", None, 1), ("a", 0.5, None), ("a", 1.0, 2), ("nobody", None, 1), ("a", None, 1), ("a", None, 1)
    )
    assert desk.feed.waiting() and desk.feed.take()[1] is None
    assert desk.feed.waiting() and desk.feed.take()[1].tolist() == [1]
    assert not desk.feed.waiting() and desk.feed.over
    assert sum(desk.counts.odd.values()) == 4


def test_what_was_read_ahead_and_not_used_is_not_behind_the_position():
    """A sample holds items with labels, or without: the first of the other kind has to wait."""
    desk = Desk(batch_size=4)
    for number, y in enumerate((1, 2, None, None)):
        desk.feed._inbox.put(Given(None, torch.zeros(2), y, number=number))
    positions = []
    for _ in range(2):
        desk.feed.take()
        positions.append((desk.feed.position, desk.feed.state()["position"]))
    assert positions == [(2, 2), (4, 4)]
