import json
import math

import pytest

from pipepita.edge import report
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import Simulation, simulate
from pipepita.runs.reading import checked


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    options = {"devices": "cortex-m4*2", "network": "fc:32", "samples": 80, "rate": 300.0, "policy": "drop-oldest",
               "queue": 2, "drift": "remap@40", "detector": "ddm", "sliding": 20}  # fmt: skip
    return simulate(checked(Scenario, options))


def test_the_summary_is_json_and_adds_up(simulation):
    found = json.loads(json.dumps(report.summary(simulation, report.scores(simulation)), allow_nan=False))
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


def _devices(simulation: Simulation, name: str):
    return next(one for one in simulation.outcomes if one.setup.name == name).setup.chain.devices


def test_the_parts_of_a_latency_are_its_mean(simulation):
    for outcome in simulation.outcomes:
        found = outcome.timing.prediction
        assert found.queue + found.compute + found.transfer >= 0.3 * found.p50
        assert math.isfinite(found.queue) and found.queue >= 0


def test_accuracy_is_counted_over_what_was_served(simulation):
    scored = report.scores(simulation)
    for outcome in simulation.outcomes:
        learnt = outcome.learnt
        right = [a == b for a, b in zip(learnt.predictions, learnt.labels, strict=True)]
        assert scored[outcome.setup.name].accuracy == pytest.approx(100 * sum(right) / len(right))
        assert scored[outcome.setup.name].windowed == pytest.approx(5 * sum(right[-20:]))
        assert len(right) == outcome.timing.served
        labels = [y for _, (_, y) in zip(range(80), simulation.stream, strict=False)]
        assert learnt.labels == [labels[index] for index in learnt.indices]


def test_rows_hold_a_figure_for_each_setup(simulation):
    scored = report.scores(simulation)
    for rows in (report.rows(simulation, scored), report.latency_rows(simulation)):
        assert [row["setup"] for row in rows] == ["locked", "relaxed", "streaming", "adaptive", "one device"]
        assert len({tuple(row) for row in rows}) == 1
    assert [row["device"] for row in report.device_rows(simulation)] == ["1 cortex-m4", "2 cortex-m4"]
