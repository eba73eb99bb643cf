"""The measurement on real actors; what it measures is for `bench/`, that it is complete and consistent is for here."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

import pipepita as pp
from pipepita.measurement import show
from pipepita.measurement.report import Closed, median_hop_ms, schedule_figures
from pipepita.network import spec
from pipepita.planning.contender import TimedRun


@pytest.fixture(scope="module")
def measured(ray_engine) -> pp.Latency:
    model = spec.build("fc:32x3", (784,), 10)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    measured = pp.latency(model, "random:784", stages=3, batch_size=4, rounds=2, seconds=0.02, engine=ray_engine)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return measured


def test_every_schedule_has_every_figure(measured):
    summary = json.loads(json.dumps(measured.summary))
    assert summary["layers"] == 4
    assert summary["rule_options"]["modulate"] == "all"  # as `train` would choose for three hidden layers
    assert summary["flow"] == "all"
    assert sum(summary["stages"]) == 4
    assert list(summary["schedules"]) == ["locked", "relaxed", "streaming"]
    for row in summary["schedules"].values():
        assert row["period_ms"] > 0
        assert row["items_per_second"] == pytest.approx(1000 * 4 / row["period_ms"], rel=0.01)
        assert len(row["lock_ms"]) == 4
        assert all(value is not None for value in row["lock_ms"])
        for kind in ("prediction", "update"):
            p50, p95, p99 = (row["latency_ms"][kind][f"p{q}"] for q in (50, 95, 99))
            assert 0 < p50 <= p95 <= p99
        assert row["latency_ms"]["prediction"]["p50"] < row["latency_ms"]["update"]["p50"]
        assert row["efficiency"] == pytest.approx(row["closed_form_ms"] / row["period_ms"], rel=0.01)
        low, high = row["speedup_range"]
        assert low <= row["speedup"] <= high
        assert len(row["stage_ms"]) == 3
        assert {"receive", "standard", "modulated", "update"} <= set(row["stage_ms"][0])
    assert [row["window"] for row in summary["schedules"].values()] == [1, 1, 2]
    assert summary["schedules"]["locked"]["speedup"] == summary["schedules"]["locked"]["ceiling"] == 1
    assert summary["in_process"]["one_thread_ms"] > 0
    assert summary["in_process"]["all_threads_ms"] > 0
    assert summary["one_stage"]["over_in_process"] > 0
    assert summary["machine"]["cores"] >= 1


def test_a_speed_up_is_how_much_longer_locked_took_in_the_same_round():
    timeline = SimpleNamespace(
        stages=[], prediction_ms=lambda first: [3.0], update_ms=lambda first: [5.0], lock_ms=lambda layer, first: [],
        hops_ms=lambda first: {"send": [1.0, 2.0, 9.0], "wake": [0.5, 0.5, 0.5]},
    )  # fmt: skip
    mine, locked = ([TimedRun(period, 0, timeline) for period in of] for of in ((2.0, 5.0, 1.0), (4.0, 5.0, 3.0)))
    row = schedule_figures(mine, locked, window=3, batch_size=8, layers=1, closed=Closed(1.5, 2.5, 2.25))
    assert (row["speedup"], row["speedup_range"]) == (2, [1, 3])
    assert (row["period_ms"], row["items_per_second"], row["efficiency"]) == (2, 4000, 0.75)
    assert median_hop_ms(mine) == 2.5


def test_timelines_of_every_schedule(measured):
    assert list(measured.timelines) == ["locked", "relaxed", "streaming"]
    for name, timeline in measured.timelines.items():
        assert len(timeline.stages) == 3
        first = measured.firsts[name]
        assert len(timeline.prediction_ms(first)) == len(timeline.update_ms(first)) >= 16


def test_tables_and_plot(measured, tmp_path, capsys):
    summary = {"network": "fc:32x3", **measured.summary}
    show.show([summary])
    printed = capsys.readouterr().out
    for words in ("fc:32x3", "speed-up over locked", "ceiling", "waiting", "in one process"):
        assert words in printed
    assert max(map(len, printed.splitlines())) <= 80
    show.plot([summary, {**summary, "layers": 8}], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_emulated_devices(ray_engine):
    model = spec.build("fc:8x2", (20,), 10)
    summary = pp.latency(
        model,
        "random:20",
        rounds=1,
        seconds=0.01,
        batch_size=1,
        engine=ray_engine,
        standard_ms="2",
        modulated_ms="1,2,4",
        rule=pp.Pepita(modulate="input"),
    ).summary
    assert summary["emulated"]
    assert summary["in_process"] is None
    costs = [(cost["standard"], cost["modulated"]) for cost in summary["layer_costs_ms"]]
    assert costs == [(2, 1), (2, 2), (2, 4)]
    locked, relaxed = (summary["schedules"][name]["closed_form_ms"] for name in ("locked", "relaxed"))
    assert (locked, relaxed) == (3 * 2 + 1 + 2 + 4, 1 + 2 + 4 + 2)  # the next sample catches up with the slow layer
    for row in summary["schedules"].values():
        assert row["period_ms"] >= 0.95 * row["closed_form_ms"]  # waiting can only make it longer


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rounds": 0}, "0 rounds"),
        ({"seconds": 0.0}, "0.0 s"),
        ({"window": 0}, "window 0"),
        ({"stages": 9}, "9 stages for 3 layers"),
        ({"standard_ms": "1,2"}, "2 numbers for 3 layers"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_what_cannot_be_measured(ray_engine, options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.latency(spec.build("fc:8x2", (20,), 10), "random:20", engine=ray_engine, **options)
