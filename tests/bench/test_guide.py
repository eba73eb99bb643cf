"""The tables of the folders' pages: made from what the commands print, and refused if the engines differ."""

from __future__ import annotations

import pytest

from bench.guide import measure
from pipepita.errors import RunError


@pytest.mark.slow
def test_rows_come_from_what_the_commands_print(monkeypatch):
    monkeypatch.setattr(measure, "LATENCIES", {"small": "--network fc:8 --batch-size 1 --rounds 1 --seconds 0.05"})
    locked, relaxed, streaming, *in_process = measure.latencies(quick=False)
    assert [row["how"] for row in (locked, relaxed, streaming)] == ["locked", "relaxed", "streaming, window 2"]
    assert locked["speed-up over locked"] == "1.00"
    assert float(streaming["ms per sample"]) > 0
    assert [row["speed-up over locked"] for row in in_process] == ["", ""]
    with pytest.raises(RunError, match="pipepita train --epochs nothing: error: "):
        measure._said("train", "--epochs nothing")


def test_engines_that_differ_are_no_table(monkeypatch):
    monkeypatch.setattr(measure, "_said", lambda command, options: {"weights_sha256": options[-1]})
    with pytest.raises(RunError, match="the engines differ"):
        measure.schedules(quick=True)
