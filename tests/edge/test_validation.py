"""The chain in real time on Ray actors: the bits of the simulation, and nearly its times."""

import pytest

from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import simulate
from pipepita.edge.validation import validate
from pipepita.runs.options.reading import checked

pytestmark = pytest.mark.slow

SLOW = """
[devices.slow]
flops = "1M"
bandwidth = "1G"
ram = "1M"
idle_watts = "1"
active_watts = "2"
"""


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.rest),
        {"rate": 12.0, "queue": 2, "label_delay": 0.1, "trouble": "pause@1-1.5:2,slow=2@2-3:1"},
    ],
    ids=["as fast as it can", "live, with late labels and trouble"],
)
def test_real_time_ends_with_the_simulations_bits(lent_engine, tmp_path, options):
    (tmp_path / "slow.toml").write_text(SLOW)
    chain = {"devices": "slow*2", "profiles": tmp_path / "slow.toml", "link": "delay 4ms 1ms rate 1mbit loss 1%"}
    common = {"network": "fc:64", "samples": 40, "rule": "pepita:modulate=all", "look_ahead": "on"}
    simulation = simulate(checked(Scenario, chain | common | options))
    told = []
    real = validate(simulation, lambda *state: told.append(state))
    assert [one.outcome.setup.name for one in real] == ["locked", "relaxed", "streaming", "adaptive"]
    assert told[0][:2] == (0, 4) and told[-1][:2] == (4, 4)
    for one in real:
        assert one.same_weights
        assert one.learnt.predictions == one.outcome.learnt.predictions
        # never sooner than simulated; how much later is a matter of this machine, and of bench/edge
        assert one.timing.prediction.p50 > 0.97 * one.outcome.timing.prediction.p50
        assert one.timing.update.p50 > 1000 * simulation.scenario.label_delay
