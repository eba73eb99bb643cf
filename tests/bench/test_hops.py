"""Every kind of hop brings figures, and a Compiled Graph that fails costs no more than its own rows."""

from __future__ import annotations

import multiprocessing as mp

import pytest
import ray
from leftovers import forgotten, shared_memory

from bench.hops import measure
from bench.hops.bare import bare, pipe
from bench.hops.gloo import gloo


@pytest.mark.slow
@pytest.mark.parametrize("kind", [bare, *(pytest.param(kind, marks=pytest.mark.rest) for kind in (pipe, gloo))])
def test_hops_between_plain_processes(kind):
    """Sizes one after the other, in the same pair of processes."""
    before = set(mp.active_children())
    with kind() as run:
        for size in (1 << 10, 1 << 16):
            times = run(size, 40)
            assert len(times) == 30
            assert all(time > 0 for time in times)
    assert set(mp.active_children()) == before


@pytest.mark.slow
@pytest.mark.rest
def test_every_size_has_a_row_a_kind(monkeypatch):
    """All kinds, shortly; nothing runs afterwards."""
    monkeypatch.setattr(measure, "SIZES", {"1 KB": 1 << 10, "64 KB": 1 << 16})
    monkeypatch.setattr(measure, "COUNTS", {True: (1, 80)})
    before = shared_memory()
    rows = measure.measure(True)
    kinds = ["bare", "pipe", "gloo", "shared_memory", "tcp", "tls", "actor call", "compiled graph"]
    assert [(row["size"], row["hop"]) for row in rows] == [(size, k) for size in ("1 KB", "64 KB") for k in kinds]
    for row in rows:
        assert row["p50 / bare"] > 0 or row["hop"] == "compiled graph"
    assert not ray.is_initialized()
    assert not forgotten(before)


def test_a_kind_that_fails_says_so_in_one_word():
    def broken(size, count):
        raise TimeoutError("no answer")

    kinds, failed = {"bare": lambda size, count: [1.0, 3.0], "compiled graph": broken}, set()
    rounds = [measure._round(kinds, failed, 1 << 10, 40) for _ in range(2)]
    assert failed == {"compiled graph"}
    first, second = measure._rows("1 KB", list(kinds), rounds)
    assert first == {"size": "1 KB", "hop": "bare", "p50, us": 2.0, "p99, us": 3.0, "p50 / bare": 1.0}
    assert list(second.values()) == ["1 KB", "compiled graph", "failed", "failed", "failed"]


def test_any_other_kind_that_fails_ends_the_benchmark():
    def broken(size, count):
        raise TimeoutError("no answer")

    with pytest.raises(TimeoutError):
        measure._round({"bare": broken}, set(), 1 << 10, 40)
