"""Memory: computing the standard pass again keeps only the item, for less than half of PEPITA's operations more."""

from __future__ import annotations

from pipepita.experiments import memory
from pipepita.experiments.experiment import Place, Scale


def test_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_NETWORKS", {"small": "fc:64x3", "conv": "conv:4,3,1,1/pool:2"})
    assert memory.cells(Scale()) == []
    rows = memory.report([], Place(None, tmp_path)).records()
    item = 3 * 32 * 32 * 4 / 1024
    for backprop, kept, again in (rows[:3], rows[3:]):
        assert float(again["kept, KiB"]) < item + 0.2 <= float(kept["kept, KiB"])
        assert float(backprop["kept, KiB"]) <= float(kept["kept, KiB"])
        assert float(kept["MFLOP"]) < float(again["MFLOP"]) < 1.5 * float(kept["MFLOP"])
        assert float(again["all, KiB"]) < float(kept["all, KiB"])
