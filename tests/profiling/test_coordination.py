"""What a run takes beside its passes, from made-up timelines."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import pipepita as pp
from pipepita.profiling.coordination import _message, _own
from pipepita.timeline.recorder import _DTYPE, PASS, RECEIVE, SEND


def test_a_message_takes_its_share_of_receiving_and_sending():
    """One stage gets the sample and the error, and sends the output."""
    timeline = SimpleNamespace(shares_ms=lambda stage, first: {"receive": 2.0, "send": 1.0, "standard": 50.0})
    task = SimpleNamespace(rule=pp.Pepita(modulate="all"), whole=[range(2)])
    assert _message(SimpleNamespace(timeline=timeline, first=0, task=task)) == pytest.approx(0.001)


def test_the_coordinators_own_work_is_all_but_receiving_behind_the_warm_up():
    rows = np.zeros(6, _DTYPE)
    rows["step"] = [0, 1, 1, 1, 2, 2]
    rows["phase"] = [PASS, PASS, SEND, RECEIVE, PASS, SEND]
    rows["end"] = [9_000_000, 1_000_000, 2_000_000, 50_000_000, 3_000_000, 4_000_000]
    timeline = SimpleNamespace(coordinator=SimpleNamespace(rows=rows))
    assert _own(SimpleNamespace(timeline=timeline, first=1)) == pytest.approx(0.005)
