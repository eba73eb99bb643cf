"""Several sources into one chain: whose each sample is, when it arrives, and how stale each source gets."""

import itertools
import json

import pytest

import pipepita as pp
from pipepita.edge.arrivals import Taken
from pipepita.edge.fan_in import Feeder, fan_in, merged, read, shares
from pipepita.edge.report import tables
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import Simulation, simulate
from pipepita.edge.validation import validate
from pipepita.live.job import OnlineJob
from pipepita.runs.options.reading import checked
from pipepita.schedule.course import Arrival
from pipepita.streams import as_stream, open_stream
from pipepita.streams.sources import whole_stream

TWO = {"devices": "rpi4*2", "network": "fc:24", "samples": 300, "sources": "80:0-4,20:5-9"}


def simulated(**options) -> Simulation:
    return simulate(checked(Scenario, {**TWO, **options}), pictures=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20", [Feeder(20.0)]),
        (" 20:0-4 , 2.5:7", [Feeder(20.0, frozenset(range(5))), Feeder(2.5, frozenset({7}))]),
        ("1e3:0-1+8+5-6", [Feeder(1000.0, frozenset({0, 1, 5, 6, 8}))]),
    ],
)
def test_sources_are_read(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' cannot be read"),
        ("20:", "'20:' cannot be read"),
        ("20,x", "'x' cannot be read"),
        ("-1:0", "'-1:0' cannot be read"),
        ("nan", "'nan' cannot be read"),
        ("0:1", "'0:1' cannot be read"),
        ("5:1-", "'5:1-' cannot be read"),
        ("5:4-0", "'5:4-0' has no classes"),
        ("5:8-12", "source 1 has class 10, but digits has classes 0 to 9"),
    ],
)
def test_other_sources_are_refused(text, words):
    with pytest.raises(pp.UserError, match=words):
        simulated(sources=text, samples=20)


def test_rates_are_those_of_each_source_and_of_all():
    feeders = read("80,20")
    times, owners = zip(*itertools.islice(merged(feeders, "poisson", 3), 20_000), strict=True)
    assert list(times) == sorted(times)
    assert owners.count(0) / 20_000 == pytest.approx(0.8, abs=0.02)
    assert 20_000 / times[-1] == pytest.approx(100, rel=0.03)
    faster = list(itertools.islice(merged(feeders, "poisson", 3, rate=1000), 20_000))
    assert [owner for _, owner in faster] == list(owners)
    assert faster[-1][0] == pytest.approx(times[-1] / 10)


def test_each_source_has_its_own_items_of_its_classes():
    stream, _ = whole_stream("digits", seed=1)
    feeders = read("30:0-4,10:5-9,10")
    items = list(itertools.islice(fan_in(stream, feeders, "fixed", 0), 500))
    owners = [owner for _, (_, owner) in zip(range(500), merged(feeders, "fixed", 0), strict=False)]
    labels = {place: {y for (_, y), owner in zip(items, owners, strict=True) if owner == place} for place in range(3)}
    assert labels[0] == set(range(5)) and labels[1] == set(range(5, 10)) and labels[2] == set(range(10))
    plain = [x for x, _ in itertools.islice(open_stream("digits", seed=1, length=1442), 1442)]
    first = next(x for (x, _), owner in zip(items, owners, strict=True) if owner == 2)
    assert (first == plain[2]).all()  # of three sources the third one begins with the third item
    assert items[0][0].shape == (1, 8, 8) and len({id(x) for x, _ in items}) == 500


def test_a_finite_stream_ends_with_the_first_source_that_has_no_more():
    stream = as_stream([([float(number)], number % 2) for number in range(20)])
    items = list(fan_in(stream, read("1,1"), "fixed", 0, group=2))
    assert [x.item() for x, _ in items] == [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15, 16, 18, 17, 19]


def test_staleness_by_hand():
    """Two sources take turns, but the second one's second sample is dropped."""
    owners = [0, 1, 0, 1, 0]
    taken = [Taken(0, 0.0, 0.0), Taken(1, 1.0, 1.0), Taken(2, 2.0, 2.0), Taken(4, 4.0, 5.0)]
    outputs = [Arrival(time, 0.0, 0.0) for time in (0.5, 1.5, 2.5, 5.5)]
    updates = [Arrival(time, 0.0, 0.0) for time in (0.9, 1.9, 2.9, 5.9)]
    answered = [(0, True), (1, False), (0, False), (0, True)]
    first, second = shares(owners, 2, taken, outputs, updates, answered)
    assert (first.offered, first.served, second.offered, second.served) == (3, 3, 2, 1)
    assert second.dropped_share == 0.5 and first.dropped_share == 0
    assert first.update == pytest.approx((900, 1800))
    assert first.stale[0] == pytest.approx(2.1)  # 2.5 - 0.9 = 1.6 and 5.5 - 2.9 = 2.6
    assert first.between == 0.5 and first.right == pytest.approx(200 / 3) and second.right == 0
    assert second.stale[0] != second.stale[0]  # it never comes again


def test_a_rare_source_gets_stale_and_is_learnt_worse():
    simulation = simulated()
    for outcome in simulation.outcomes:
        often, rare = outcome.shares
        assert often.served + rare.served == 300 and often.served > 2.5 * rare.served
        assert rare.stale[0] > 2 * often.stale[0] and rare.between > 2 * often.between
        assert often.right > rare.right
        right = sum(a == b for a, b in zip(outcome.learnt.predictions, outcome.learnt.labels, strict=True))
        assert often.right * often.served + rare.right * rare.served == pytest.approx(100 * right)
    found = tables.summary(simulation, tables.scores(simulation))
    locked = json.loads(json.dumps(found, allow_nan=False))["setups"]["locked"]["sources"]
    assert [one["served"] for one in locked] == [share.served for share in simulation.outcomes[0].shares]
    rows = tables.source_rows(simulation)
    assert [row["source"] for row in rows] == ["1: 80/s", "2: 20/s"] and rows[0]["classes"] == "0 1 2 3 4"
    assert rows[1]["locked: right %"] == f"{simulation.outcomes[0].shares[1].right:.1f}"
    assert tables.source_rows(simulate(checked(Scenario, TWO | {"sources": None, "samples": 20}), pictures=False)) == []


def test_samples_of_several_items_are_of_one_source():
    simulation = simulated(batch_size=4, samples=60)
    labels, owners = simulation.outcomes[0].learnt.labels, simulation.scenario.owners()
    for sample, owner in enumerate(owners):
        assert {label // 5 for label in labels[4 * sample : 4 * sample + 4]} == {owner}
    assert sum(share.served for share in simulation.outcomes[0].shares) == 60


def test_with_drifts_drops_and_forgetting():
    simulation = simulated(drift="noise:0.5@100", forgetting=True, policy="drop-oldest", queue=1, sources="4000,1000:3")
    for outcome in simulation.outcomes[:2]:
        assert sum(share.offered for share in outcome.shares) == 300
        assert sum(share.served for share in outcome.shares) == outcome.timing.served < 300
    assert simulation.outcomes[0].learnt.remembered is not None


@pytest.mark.slow
def test_in_real_time_the_same_samples_arrive():
    for one in validate(simulated(samples=40)):
        assert one.same_samples and one.same_weights


def test_a_rate_of_its_own_is_refused():
    with pytest.raises(pp.UserError, match="rate 50 and sources '80:0-4,20:5-9': each source has its own"):
        checked(Scenario, TWO | {"rate": 50})
    given = checked(Scenario, TWO).model_dump(exclude_unset=True)
    assert checked(Scenario, given).rate == 100  # as a run is resumed


def test_an_online_run_takes_the_same_items():
    job = checked(OnlineJob, TWO)
    one, other = list(job.items(1)), list(checked(Scenario, TWO).items(1))
    assert [y for _, y in one] == [y for _, y in other] and len(one) == 300
    assert next(job.arriving(100.0)) == next(checked(Scenario, TWO).arriving(100.0))
