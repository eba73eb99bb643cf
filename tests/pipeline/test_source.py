"""What a run keeps of a live source, to learn from it exactly once."""

from __future__ import annotations

import torch
from live import Ticks

from pipepita.pipeline.source import Kept, Stored


def test_kept_gives_again_what_came_since_the_mark(few_digits):
    source = Ticks(few_digits, 5)
    kept = Kept(source, 3)
    first = [kept.take() for _ in range(3)]
    assert kept.take() is None and not kept.ended
    kept.again()
    assert all(a is b for a, b in zip(first, (kept.take() for _ in range(3)), strict=True))
    kept.mark()
    assert [kept.take() is not None for _ in range(3)] == [True, True, False]
    assert kept.ended


def test_kept_gets_the_source_ready_once_a_sample(few_digits):
    """Stored items move on when told that the sample is on its way: twice would skip one."""
    data = few_digits
    stored = Stored(data.x_train, torch.arange(len(data.x_train)), torch.arange(6), 1)
    kept, learnt = Kept(stored, 3), []

    def take():
        _, labels = kept.take()
        kept.ahead()
        return int(labels)

    assert [take(), take(), take()] == [0, 1, 2]
    kept.again()
    learnt += [take(), take(), take()]
    kept.mark()
    learnt += [take(), take(), take()]
    assert learnt == [0, 1, 2, 3, 4, 5]
