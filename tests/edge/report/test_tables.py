import json
import math

import pytest

from pipepita.edge.report import tables
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import Simulation, simulate
from pipepita.errors import UserError
from pipepita.runs.options.reading import checked


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    options = {"devices": "cortex-m4*2", "network": "fc:32", "samples": 80, "rate": 300.0, "policy": "drop-oldest",
               "queue": 2, "drift": "remap@40", "detector": "ddm", "sliding": 20}  # fmt: skip
    return simulate(checked(Scenario, options))


def test_the_summary_is_json_and_adds_up(simulation):
    found = json.loads(json.dumps(tables.summary(simulation, tables.scores(simulation)), allow_nan=False))
    for name, setup in found["setups"].items():
        assert setup["served"] == round(setup["offered"] * (1 - setup["dropped_share"])), name
        for latency in (setup["prediction_ms"], setup["update_ms"]):
            assert latency["p50"] <= latency["p95"] <= latency["p99"]
        powers = [(one.idle_watts, one.active_watts) for one in _devices(simulation, name)]
        spent = setup["joules_per_sample"] * setup["served"] / setup["seconds"]
        assert sum(idle for idle, _ in powers) <= spent <= sum(active for _, active in powers)
    assert found["scenario"]["drift"] == "remap@40" and found["drifts"] == [[40, "remap"]]
    assert [point["rate"] for point in found["setups"]["locked"]["rates"]] == sorted(
        point["rate"] for point in found["setups"]["locked"]["rates"]
    )


def test_a_chain_lasts_as_long_as_its_first_empty_battery():
    options = {"devices": "rpi4,rpi5", "network": "fc:16", "samples": 40, "rate": 50.0, "timing_only": True}
    long = simulate(checked(Scenario, options | {"battery": "20Wh"}))
    found = tables.summary(simulate(checked(Scenario, options | {"battery": "20Wh,10Wh"})), tables.scores(long))
    for name, setup in tables.summary(long, tables.scores(long))["setups"].items():
        lasting = [device["samples_until_empty"] for device in setup["devices"]]
        assert setup["samples_until_empty"] == min(lasting)
        watts, rate = (setup["devices"][-1]["watts"], setup["throughput"])
        assert lasting[-1] == pytest.approx(rate * 20 * 3600 / watts, rel=1e-4)
        # the last one is the rpi5 in each setup, which is also the faster one when it is alone
        assert found["setups"][name]["devices"][-1]["samples_until_empty"] == pytest.approx(lasting[-1] / 2, rel=1e-4)
    assert "samples until empty" in tables.rows(long, tables.scores(long))[0]
    without = simulate(checked(Scenario, options))
    assert "samples until empty" not in tables.rows(without, tables.scores(without))[0]


@pytest.mark.parametrize("battery", ["20", "20Wh,", "-1Wh", "1Wh,1Wh,1Wh"])
def test_batteries_that_cannot_be_are_refused(battery):
    with pytest.raises(UserError, match=f"battery '{battery}'"):
        simulate(checked(Scenario, {"devices": "rpi4*2", "timing_only": True, "battery": battery}))


def _devices(simulation: Simulation, name: str):
    return next(one for one in simulation.outcomes if one.setup.name == name).setup.chain.devices


def test_the_parts_of_a_latency_are_its_mean(simulation):
    for outcome in simulation.outcomes:
        found = outcome.timing.prediction
        assert found.queue + found.compute + found.transfer >= 0.3 * found.p50
        assert math.isfinite(found.queue) and found.queue >= 0


def test_accuracy_is_counted_over_what_was_served(simulation):
    scored = tables.scores(simulation)
    for outcome in simulation.outcomes:
        learnt = outcome.learnt
        right = [a == b for a, b in zip(learnt.predictions, learnt.labels, strict=True)]
        assert scored[outcome.setup.name].accuracy == pytest.approx(100 * sum(right) / len(right))
        assert scored[outcome.setup.name].windowed == pytest.approx(5 * sum(right[-20:]))
        assert len(right) == outcome.timing.served
        labels = [y for _, (_, y) in zip(range(80), simulation.stream, strict=False)]
        assert learnt.labels == [labels[index] for index in learnt.indices]


def test_rows_hold_a_figure_for_each_setup(simulation):
    scored = tables.scores(simulation)
    for rows in (tables.rows(simulation, scored), tables.latency_rows(simulation)):
        assert [row["setup"] for row in rows] == ["locked", "relaxed", "streaming", "adaptive", "one device"]
        assert len({tuple(row) for row in rows}) == 1
    assert [row["devices"] for row in tables.rows(simulation, scored)] == ["2", "2", "2", "2", "1 (cortex-m4)"]
    assert [row["device"] for row in tables.device_rows(simulation)] == ["1 cortex-m4", "2 cortex-m4"]
