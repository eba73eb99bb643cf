"""The choice of stages from made-up costs."""

from __future__ import annotations

import pytest

from pipepita.network.partition import balance
from pipepita.planning.predict import Measured, Terms, Took, predict
from pipepita.schedule import locked, relaxed, streaming
from pipepita.schedule.forecast import Message
from pipepita.schedule.topology import Route
from pipepita.schedule.world import Cost

SCHEDULES = [locked(), relaxed(), streaming(4)]


def predicted(layers: list[float], *, cores: int, hop: float = 0.0, crowded_hop: float | None = None):
    """layers: what a pass of each takes. hop: what a message costs; crowded_hop: with more stages than cores."""
    costs, count = [Cost(time, time) for time in layers], len(layers)

    def terms(stages: int, cost: float) -> Terms:
        return Terms(balance(layers, stages), costs, costs, Message(cost / 2, cost / 2, cost / 2))

    crowded = None if crowded_hop is None else terms(min(count, cores + 1), crowded_hop)
    measured = Measured(2 * sum(layers), cores, terms(1, hop), terms(min(count, 2), hop), crowded)
    return predict(measured, SCHEDULES, Route(), count)


@pytest.mark.parametrize("schedule", ["locked", "relaxed", "streaming"])
def test_where_messages_cost_more_than_layers_one_process_is_best_and_one_stage_is_next(schedule):
    found = predicted([0.01] * 8, cores=2, hop=0.2, crowded_hop=0.3)
    assert (found.best(schedule).engine, len(found.best(schedule).parts)) == ("local", 1)
    assert (found.staged(schedule).engine, len(found.staged(schedule).parts)) == ("ray", 1)
    assert found.best(schedule).forecast is found.alone


def test_two_cores_get_two_stages():
    found = predicted([1.0] * 8, cores=2, hop=0.06, crowded_hop=0.2)
    choice = found.best("streaming")
    assert (choice.engine, choice.parts) == ("ray", [range(0, 4), range(4, 8)])
    assert 8 < choice.forecast.period < 8.6
    assert found.forecasts[8]["streaming"].limit == "cores"


def test_more_cores_get_more_stages():
    found = predicted([1.0] * 8, cores=4, hop=0.06, crowded_hop=0.2)
    assert [len(part) for part in found.best("streaming").parts] == [2, 2, 2, 2]
    assert found.best("streaming").forecast.period < 0.6 * found.forecasts[2]["streaming"].period


def test_locked_gains_nothing_from_stages():
    found = predicted([1.0] * 8, cores=8, hop=0.06)
    assert found.best("locked").engine == "local"
    periods = [row["locked"].period for row in found.forecasts.values()]
    assert periods == sorted(periods)


def test_a_slow_layer_in_the_middle_is_a_stage_of_its_own_and_more_stages_do_not_help():
    found = predicted([1.0, 1.0, 10.0, 1.0, 1.0], cores=8, hop=0.06)
    choice = found.staged("streaming")
    assert choice.parts == [range(0, 2), range(2, 3), range(3, 5)]
    assert choice.forecast.limit == "stage 2"


def test_splits_are_balanced_by_what_was_measured():
    found = predicted([5.0, 1.0, 1.0, 1.0, 1.0, 1.0], cores=2)
    assert found.parts[2] == [range(0, 1), range(1, 6)]
    assert [len(part) for part in found.parts[6]] == [1] * 6


def test_another_stage_must_be_worth_it():
    """Layers that are equally fast in three stages and in two: fewer processes are better."""
    found = predicted([1.0, 1.0], cores=8)
    assert len(predicted([1.0, 0.001, 1.0], cores=8).staged("streaming").parts) == 2
    assert len(found.staged("streaming").parts) == 2


def of_two(single: Terms, roomy: Terms):
    return predict(Measured(4, 2, single, roomy), SCHEDULES, Route(), len(single.calm))


def test_costs_of_layers_that_share_a_cache_count_for_pipelines_only():
    bare, slower = [Cost(1, 1)] * 2, [Cost(1.5, 1.5)] * 2
    found = of_two(Terms([range(2)], bare, bare), Terms([range(1), range(1, 2)], bare, slower))
    assert found.forecasts[1]["streaming"].period == pytest.approx(4)
    assert found.forecasts[2]["streaming"].period == pytest.approx(3)
    assert found.forecasts[2]["locked"].period == pytest.approx(4)


def test_a_pipeline_that_was_measured_takes_what_it_took_and_others_are_compared_with_it():
    """Other programs take half of the cores: nothing that was measured of layers and messages can know that."""
    costs, halves = [Cost(1, 1)] * 4, [range(2), range(2, 4)]
    single = Terms([range(4)], costs, costs, took=Took(9, 8.5))
    found = of_two(single, Terms(halves, costs, costs, took=Took(12, 8)))
    assert [found.forecasts[stages]["streaming"].period for stages in (1, 2)] == [8.5, 8]
    assert [found.forecasts[stages]["relaxed"].period for stages in (1, 2)] == [9, 12]
    assert found.forecasts[1]["locked"].period == 9
    # twice as long as it should: 8 instead of 6 and 4, so 7 / 6 * 12 and 16 / 12 * 8
    assert found.forecasts[4]["relaxed"].period == pytest.approx(12 * 5 / 6)
    assert found.forecasts[4]["streaming"].period == pytest.approx(8)
    assert found.staged("relaxed").parts == [range(4)]


def test_a_split_that_was_measured_stays():
    costs, uneven = [Cost(1, 1)] * 4, [range(1), range(1, 4)]
    found = of_two(Terms([range(4)], costs, costs), Terms(uneven, costs, costs))
    assert found.parts[2] == uneven and [len(part) for part in found.parts[3]] == [1, 1, 2]
