"""What a run keeps of a live source, so that it learns from each sample exactly once."""

from __future__ import annotations

import torch
from live import Ticks

from pipepita.pipeline.source import ReplayableSource, Stored


def test_samples_since_the_mark_come_again(few_digits):
    source = Ticks(few_digits, 5)
    replayable = ReplayableSource(source, 3)
    first = [replayable.take() for _ in range(3)]
    assert replayable.take() is None and not replayable.ended
    replayable.again()
    assert all(a is b for a, b in zip(first, (replayable.take() for _ in range(3)), strict=True))
    replayable.mark()
    assert [replayable.take() is not None for _ in range(3)] == [True, True, False]
    assert replayable.ended


def test_the_source_prepares_each_sample_once(few_digits):
    """`Stored` moves on when `ahead` is called: a second call would skip a sample."""
    data = few_digits
    stored = Stored(data.x_train, torch.arange(len(data.x_train)), torch.arange(6), 1)
    replayable, learnt = ReplayableSource(stored, 3), []

    def take():
        _, labels = replayable.take()
        replayable.ahead()
        return int(labels)

    assert [take(), take(), take()] == [0, 1, 2]
    replayable.again()
    learnt += [take(), take(), take()]
    replayable.mark()
    learnt += [take(), take(), take()]
    assert learnt == [0, 1, 2, 3, 4, 5]
