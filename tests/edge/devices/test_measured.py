"""Devices whose passes were measured: what they take, how that is written, and what a simulation makes of it."""

import json
import math
from dataclasses import replace

import pytest

from pipepita.edge.devices import measured_text
from pipepita.edge.devices.measured import AHEAD, CONVOLUTION, LINEAR, Coordinator, Measured, Overhead, Rate, key
from pipepita.edge.devices.profiles import catalogue
from pipepita.edge.report import tables
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import simulate
from pipepita.edge.work import Work
from pipepita.errors import UserError
from pipepita.runs.options.reading import checked

US = 1e-6
RATES = {key(LINEAR, "standard", 1): [Rate(1e3, 1e9), Rate(1e5, 1e10)], key(LINEAR, "standard", 64): [Rate(1e4, 1e11)]}
TOGETHER, APART = Coordinator(100 * US, 3 * US, 50 * US, 0.2), Coordinator(200 * US, 4 * US, 90 * US, 0.5)
ONE = Overhead(2 * US, (10 * US, 20 * US, 30 * US), (5 * US, 6 * US, 7 * US), 1e9)
MANY = Overhead(4 * US, (20 * US, 20 * US, 30 * US), (5 * US, 6 * US, 7 * US), 1e9)
SOME = Measured({1: ONE, 8: ONE, 64: MANY}, RATES, TOGETHER, APART, message=40 * US)
TABLE = """
[devices.mine]
flops = "10G"
bandwidth = "1G"
ram = "1G"
[devices.mine.measured]
"""


def devices(tmp_path, measured: Measured = SOME):
    path = tmp_path / "mine.toml"
    path.write_text(TABLE + "\n".join(measured_text.lines(measured)))
    return path


def test_a_pass_takes_what_its_parts_take():
    work = Work(flops=9e9, bytes=4000, calls=5)
    assert SOME.seconds(work, LINEAR, "standard", 1) == pytest.approx((10 + 10 + 4) * US)
    assert SOME.seconds(work, LINEAR, "update", 1, first=True) == pytest.approx((30 + 7 + 10 + 4) * US)
    assert SOME.seconds(Work(), LINEAR, "second", 1) == 0  # there is no such pass
    assert SOME.seconds(work, LINEAR, "standard", 64) == pytest.approx((20 + 20 + 4) * US)
    half_way = round(8**1.5)
    assert SOME.ahead(work, half_way) == pytest.approx((15 + 4) * US, rel=0.01)
    known = replace(SOME, rates={**RATES, AHEAD: [Rate(2e3, 1e9), Rate(8e3, 4e9)]})
    assert known.ahead(work, 1) == known.ahead(work, 8) == pytest.approx((5 * 2 + 4000 / 2e3) * US)


@pytest.mark.parametrize(
    ("products", "batch", "rate"),
    [
        (1e3, 1, 1e9),
        (1e4, 1, 10**9.5),  # half-way between the two
        (1e2, 1, 1e9),  # smaller, and larger, than what was measured
        (1e9, 1, 1e10),
        (1e4, 64, 1e11),
        (1e4, 8, 10 ** ((9.5 + 11) / 2)),  # half-way between the batches
        (1e4, 500, 1e11),
    ],
)
def test_rates_lie_between_those_that_were_measured(products, batch, rate):
    work = Work(products=products, calls=1)
    besides = SOME.besides(work, "standard", batch)
    assert SOME.seconds(work, LINEAR, "standard", batch) - besides == pytest.approx(products / rate)
    assert SOME.seconds(work, CONVOLUTION, "standard", batch) == besides  # nothing is known of them


def test_what_is_written_is_read_again(tmp_path):
    found = catalogue(devices(tmp_path)).device("mine")
    assert found.measured.rates == RATES
    for batch, overhead in SOME.overheads.items():
        for name in ("call", "passes", "first", "bandwidth"):
            assert getattr(found.measured.overheads[batch], name) == pytest.approx(getattr(overhead, name), rel=1e-3)
    for name in ("together", "apart", "message"):
        assert getattr(found.measured, name) == pytest.approx(getattr(SOME, name), rel=1e-3)
    assert math.isnan(found.idle_watts) and found.trains


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("call = 3", "devices.mine.measured.call 3: write it like 25us"),
        ("calls = '3us'", "unknown field in profiles .* 'calls'"),
        ("call = ['3us', '4us']", "write one figure, or 3: of 1, 8, 64 items"),
        ("call = ['3us', '4us', 5]", "devices.mine.measured.call 5: write it like 25us"),
        ("cold = '3us'", "devices.mine.measured.cold '3us': write it like 12%"),
        ("apart-item = '3%'", "devices.mine.measured.apart-item '3%': write it like 25us"),
        ("bandwidth = '-1G'", "devices.mine.measured.bandwidth '-1G': has to be above 0"),
        ("'linear standard 1' = [[1e5, 1e9], [1e3, 1e9]]", "write pairs of flops and FLOP/s"),
        ("'linear standard 1' = [[1e5, 0]]", "write pairs"),
        ("'linear standard 1' = [1, 2]", "write pairs"),
        ("'linear standard 2' = [[1e5, 1e9]]", "unknown field in profiles .* 'linear standard 2'"),
    ],
)
def test_other_tables_are_refused(tmp_path, change, words):
    name = change.partition(" = ")[0].strip("'")
    lines = [line for line in measured_text.lines(SOME) if line.partition(" = ")[0].strip('"') != name]
    path = tmp_path / "mine.toml"
    path.write_text(TABLE + "\n".join([*lines, change]))
    with pytest.raises(UserError, match=words):
        catalogue(path)


def test_a_figure_that_is_missing_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TABLE + 'call = "1us"\n')
    with pytest.raises(UserError, match="standard is missing: give it like 25us"):
        catalogue(path)
    path.write_text('[devices.mine]\nflops = "1G"\nbandwidth = "1G"\nram = "1G"\nmeasured = 3\n')
    with pytest.raises(UserError, match=r"devices.mine.measured 3: write a table \[devices.mine.measured\]"):
        catalogue(path)


def simulated(path, **options):
    common = {"profiles": path, "network": "fc:32x2", "samples": 200, "timing_only": True}
    return simulate(checked(Scenario, common | {"devices": "mine", **options}), pictures=False)


def test_one_device_takes_its_passes_and_the_coordinators_time(tmp_path):
    simulation = simulated(devices(tmp_path))
    alone = next(one for one in simulation.outcomes if one.setup.name == "one device")
    passes = sum(cost.total for cost in alone.setup.costs)
    assert 1 / alone.capacity == pytest.approx(passes + 103 * US, rel=0.02)
    first, second, *_ = simulation.network.works
    mine = catalogue(devices(tmp_path)).device("mine")
    assert alone.setup.costs[0] == first.cost(mine, first=True) != first.cost(mine)
    assert alone.setup.costs[1] == second.cost(mine)


def test_a_device_that_waits_looks_late_at_what_arrives(tmp_path):
    simulation = simulated(devices(tmp_path), rate=20.0, arrivals="fixed")
    alone = next(one for one in simulation.outcomes if one.setup.name == "one device")
    standard = sum(cost.standard for cost in alone.setup.costs)
    assert alone.timing.prediction.p50 == pytest.approx(1000 * (1.2 * standard + 50 * US), rel=0.01)


@pytest.mark.parametrize(("rule", "messages"), [("pepita", 3), ("pepita:modulate=all", 3), ("local", 3), ("bp", 3)])
def test_an_actor_works_on_its_messages_and_the_coordinator_beside_it(tmp_path, rule, messages):
    """Of a chain of one device: the sample comes in, the output goes out, and the error comes in unless it is local."""
    chain = simulated(devices(tmp_path), rule=rule)
    bare = simulated(devices(tmp_path, replace(SOME, message=0.0)), rule=rule)
    one, other = (next(o for o in of.outcomes if o.setup.name == "streaming") for of in (chain, bare))
    assert 1 / one.capacity - 1 / other.capacity == pytest.approx(messages * 40 * US, rel=0.01)
    slow = replace(SOME, apart=Coordinator(5.0))
    behind = next(o for o in simulated(devices(tmp_path, slow), rule=rule).outcomes if o.setup.name == "streaming")
    assert 1 / behind.capacity == pytest.approx(5.0, rel=0.01)


def test_in_a_chain_each_device_has_a_first_layer(tmp_path):
    simulation = simulated(devices(tmp_path, replace(SOME, message=0.0)), devices="mine*3", link="delay 1us")
    mine = catalogue(devices(tmp_path)).device("mine")
    locked = simulation.outcomes[0]
    assert locked.setup.costs == [work.cost(mine, first=True) for work in simulation.network.works]
    found = tables.summary(simulation, tables.scores(simulation))
    assert json.loads(json.dumps(found, allow_nan=False))["setups"]["locked"]["joules_per_sample"] is None
    assert tables.rows(simulation, tables.scores(simulation))[0]["mJ per sample"] == "-"
