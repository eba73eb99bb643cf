"""What lies close together is run, and the faster one is chosen."""

from __future__ import annotations

import pytest

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.task import Task
from pipepita.planning import verify
from pipepita.planning.contender import TimedRun
from pipepita.planning.predict import LOCAL, Prediction
from pipepita.planning.probe import items
from pipepita.planning.verify import verified
from pipepita.schedule import relaxed
from pipepita.schedule.forecast import Forecast


def task() -> Task:
    model = pp.build("fc:8x3", (1, 8, 8), 10, normal=True)
    pp.initialise(model, 0)
    return Task(cut(model, (1, 8, 8), 10), 10, pp.Pepita().settled(4), lr=0.0)


def predicted(alone: float, *staged: float) -> Prediction:
    parts = {1: [range(4)], 2: [range(2), range(2, 4)], 3: [range(2), range(2, 3), range(3, 4)]}
    forecasts = {count: {"relaxed": Forecast(period, "core")} for count, period in enumerate(staged, 1)}
    return Prediction(Forecast(alone, "core"), parts, forecasts)


def verify_with(prediction: Prediction, took: dict[str, float], monkeypatch, engine=None) -> tuple[Prediction, set]:
    run = set()

    def interleaved(contenders, data, rounds, seconds, progress):
        run.update(contenders)
        return {name: [TimedRun(took[name], 0, None)] for name in contenders}

    monkeypatch.setattr(verify, "interleaved", interleaved)
    one = task()
    engine = engine or pp.LocalEngine("cpu")
    return verified(prediction, one, [relaxed()], items(one, 4), 4, engine, 0.01), run


def test_the_faster_one_is_chosen_although_another_was_predicted(monkeypatch):
    found, run = verify_with(predicted(10, 11, 10.5, 20), {LOCAL: 30, "1": 24, "2": 20}, monkeypatch)
    assert run == {LOCAL, "1", "2"}
    assert len(found.best("relaxed").parts) == 2 and found.best("relaxed").engine == "ray"
    assert [row["relaxed"].period for row in found.forecasts.values()] == pytest.approx([12, 10, 20])
    assert found.alone.period == pytest.approx(15)


def test_what_is_far_apart_is_not_run(monkeypatch):
    before = predicted(10, 14, 15, 16)
    found, run = verify_with(before, {}, monkeypatch)
    assert found == before and run == set()


def test_only_the_best_and_those_that_fit_are_run(monkeypatch):
    class Small(pp.LocalEngine):
        most_stages = 2

    took = dict.fromkeys((LOCAL, "1", "2", "3"), 5.0)
    assert verify_with(predicted(10, 11, 11.5, 9.9), took, monkeypatch)[1] == {"3", LOCAL, "1"}
    assert verify_with(predicted(10, 11, 11.5, 9.9), took, monkeypatch, Small("cpu"))[1] == {LOCAL, "1", "2"}


def test_real_runs_change_nothing_of_the_task():
    one = task()
    weights = {key: value.clone() for layer in one.layers for key, value in layer.state.items()}
    before = predicted(10, 10, 10, 30)
    found = verified(before, one, [relaxed()], items(one, 4), 4, pp.LocalEngine("cpu"), 0.01)
    periods = [found.alone.period, *(row["relaxed"].period for row in found.forecasts.values())]
    assert min(periods) == pytest.approx(10) and periods[-1] == 30 and len(set(periods)) > 2
    assert all((layer.state[key] == weights[key]).all() for layer in one.layers for key in layer.state)
