"""Air that links share: one message at a time, in the first gap, and slower if many want to send."""

import random

import pytest

from pipepita.edge.chain import parse_chain
from pipepita.edge.devices.profiles import LinkProfile, catalogue
from pipepita.edge.link import Traffic
from pipepita.edge.medium import Medium, slowdown
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import simulate
from pipepita.edge.validation import validate
from pipepita.errors import UserError
from pipepita.runs.options.reading import checked

SLOW = {"devices": "rpi4*4", "network": "fc:256x3", "samples": 60, "timing_only": True}


def capacities(link: str) -> dict[str, float]:
    found = simulate(checked(Scenario, SLOW | {"link": link}), pictures=False)
    return {outcome.setup.name: outcome.capacity for outcome in found.outcomes}


def test_one_after_the_other_and_in_the_first_gap():
    air = Medium()
    assert air.carry(0, 0.0, 1.0) == 1.0
    assert air.carry(0, 5.0, 1.0) == 6.0
    assert air.carry(0, 2.0, 1.0) == 3.0  # of an earlier time, though it comes later
    assert air.carry(0, 0.5, 1.0) == 2.0
    assert air.carry(0, 0.5, 2.0) == 5.0  # from 3 on
    assert air.carry(0, 4.5, 1.0) == 7.0  # the gap from 5 on is taken


def test_two_who_want_to_send_take_longer():
    air = Medium()
    assert air.carry(0, 0.0, 1.0) == 1.0
    assert air.carry(1, 0.5, 1.0) == pytest.approx(1 + slowdown(2))  # device 0 is still sending
    assert air.carry(2, 9.0, 1.0) == 10.0  # nobody else is


def test_nothing_overlaps_whatever_comes():
    draw, air = random.Random(1), Medium()
    for _ in range(2000):
        air.carry(draw.randrange(5), draw.uniform(0, 900), draw.uniform(0.01, 1))
    assert all(end <= begin for end, begin in zip(air._ends, air._begins[1:], strict=False))


def test_what_is_long_past_is_forgotten(monkeypatch):
    monkeypatch.setattr("pipepita.edge.medium._MOST", 100)
    air = Medium()
    for second in range(1000):
        assert air.carry(0, float(second), 0.5) == second + 0.5
    assert len(air._ends) <= 100


def test_links_of_one_air_wait_for_each_other():
    profile, air = LinkProfile("slow", "slow", rate=8000.0, air="a"), Medium()
    first, second = (Traffic(profile, 0, str(place), air=(air, place)) for place in range(2))
    alone = Traffic(profile, 0, "alone")
    assert first.arrives(0.0, 1000) == alone.arrives(0.0, 1000) == 1.0
    assert second.arrives(0.0, 1000) == pytest.approx(1 + slowdown(2))


def test_a_chain_on_one_air_carries_less():
    """Its messages fill the links. Two airs lie between one and none."""
    slow = "delay 1ms rate 2mbit"
    apart, together = capacities(slow), capacities(f"{slow}@a")
    in_pairs = capacities(f"{slow}@a,{slow}@b,{slow}@b,{slow}@c")
    for name in ("streaming", "adaptive"):
        assert together[name] < 0.6 * apart[name]
        assert together[name] < in_pairs[name] < apart[name]
    assert together["one device"] == apart["one device"]
    # with one sample at a time two messages hardly ever meet
    assert 0.7 * apart["locked"] < together["locked"] <= apart["locked"]


def test_the_same_seed_is_the_same_air():
    assert capacities("wifi@a") == capacities("wifi@a")


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("wifi@", "link wifi@: the name of shared air"),
        ("wifi@a b", "link wifi@a b: the name of shared air"),
        ("delay 5ms@a", "link delay 5ms@a: to share air it needs a rate"),
        ("wife@a", "unknown link 'wife'"),
    ],
)
def test_air_that_cannot_be(link, words):
    with pytest.raises(UserError, match=words):
        parse_chain("rpi4*2", link, catalogue())


def test_both_ways_may_be_on_the_same_air_or_not():
    chain = parse_chain("rpi4*2", "lte/wifi@home", catalogue())
    assert (chain.link(0, 1).air, chain.link(1, 0).air, chain.shared) == ("", "home", {"home"})


def test_in_real_time_there_is_no_shared_air():
    simulation = simulate(
        checked(Scenario, SLOW | {"link": "wifi@air1", "timing_only": False, "samples": 8}), pictures=False
    )
    with pytest.raises(UserError, match="air air1 is shared by links: in real time each link has its own"):
        validate(simulation)
