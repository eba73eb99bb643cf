"""Timelines that are made by hand, so that every figure can be worked out on paper."""

from __future__ import annotations

from unittest import mock

import pytest

from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import DATA, OTHER, PASS, RECEIVE, SEND, UPDATE, Recorder, Spans

S, M = "standard", "modulated"


def recorded(laps: list[tuple[int, int, str, int, int]]) -> Spans:
    """Spans of (end in ms, phase, pass, step, layer). The first one begins at 0."""
    with mock.patch("time.perf_counter_ns", side_effect=[0, *(end * 1_000_000 for end, *_ in laps)]):
        recorder = Recorder(100)
        recorder.start()
        for _, phase, name, step, layer in laps:
            recorder.lap(phase, name, step, layer)
    return recorder.spans()


@pytest.fixture
def timeline() -> Timeline:
    """Two stages, layers 1 and 2 in the first and 3 in the second; one sample after the other, from 0 and from 40 ms.

    coordinator  S0's items waited for until 1, sent 2 | output waited for until 14 | error until 15, sent 16
    stage 0      S0 at 4, layers until 6 and 8, sent 9; M0 at 18, layers until 19 and 20, sent 21, updates until 23, 25
    stage 1      S0 at 10, layer until 12, sent 13;     M0 at 22, layer until 24, update until 30
    """
    coordinator, below, above = [], [], []
    for step, t in ((0, 0), (1, 40)):
        coordinator += [
            (t + 0, OTHER, S, step, 0), (t + 1, DATA, S, step, 0), (t + 2, SEND, S, step, 0),
            (t + 3, OTHER, M, step, 0), (t + 14, RECEIVE, M, step, 0), (t + 15, PASS, M, step, 0),
            (t + 16, SEND, M, step, 0),
        ]  # fmt: skip
        below += [
            (t + 4, RECEIVE, S, step, 0), (t + 6, PASS, S, step, 1), (t + 8, PASS, S, step, 2),
            (t + 9, SEND, S, step, 0), (t + 18, RECEIVE, M, step, 0), (t + 19, PASS, M, step, 1),
            (t + 20, PASS, M, step, 2), (t + 21, SEND, M, step, 0), (t + 23, UPDATE, M, step, 1),
            (t + 25, UPDATE, M, step, 2),
        ]  # fmt: skip
        above += [
            (t + 10, RECEIVE, S, step, 0), (t + 12, PASS, S, step, 3), (t + 13, SEND, S, step, 0),
            (t + 22, RECEIVE, M, step, 0), (t + 24, PASS, M, step, 3), (t + 30, UPDATE, M, step, 3),
        ]  # fmt: skip
    return Timeline(recorded(coordinator), [recorded(below), recorded(above)], (S, M))
