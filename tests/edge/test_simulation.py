"""Whole simulations of small chains, on real digits."""

import io
from dataclasses import replace

import pytest

from pipepita.edge.calibration import rate
from pipepita.edge.scenario import Scenario
from pipepita.edge.setup import ALONE
from pipepita.edge.simulation import Simulation, simulate
from pipepita.errors import UserError
from pipepita.live.display import Complaints
from pipepita.live.job import OnlineJob
from pipepita.live.start import begin
from pipepita.runs.display import Observer
from pipepita.runs.options.reading import checked
from pipepita.schedule import SCHEDULES, streaming
from pipepita.schedule.world import Cost

pytestmark = pytest.mark.slow  # hundreds of samples each
EQUAL = {"devices": "cortex-m4*4", "link": "delay 1ms", "network": "fc:64x3", "normalize": True,
         "rule": "pepita:modulate=all",         "assign": "1,1,1,1", "samples": 120}  # fmt: skip


def simulated(**options) -> Simulation:
    return simulate(checked(Scenario, EQUAL | options))


def by_name(simulation: Simulation) -> dict:
    return {outcome.setup.name: outcome for outcome in simulation.outcomes}


@pytest.fixture(scope="module")
def chain() -> Simulation:
    return simulated()


def test_sets_the_schedules_and_one_device_side_by_side(chain):
    found = by_name(chain)
    assert tuple(found) == (*SCHEDULES, ALONE)
    assert found["locked"].capacity < found["relaxed"].capacity < found["streaming"].capacity
    assert found[ALONE].timing.prediction.transfer == 0 < found["locked"].timing.prediction.transfer
    assert chain.alone is None


def test_periods_are_the_closed_forms(chain):
    """Locked L (s + m) + hops; streaming the slowest stage's s + m + u: three equal hidden layers, a lighter output."""
    found = by_name(chain)
    costs = found["locked"].setup.costs
    hop = 0.001
    s, m, u = (sum(getattr(cost, name) for cost in costs) for name in ("standard", "modulated", "update"))
    last = costs[-1]
    # standard passes up, the output back; the error to all at once, the slowest one's update, word of it
    slowest = max(cost.modulated + cost.update for cost in costs)
    locked = s + 4 * hop + hop + slowest + hop
    assert 1 / found["locked"].capacity == pytest.approx(locked, rel=0.03)
    assert 1 / found["streaming"].capacity >= max(cost.total for cost in costs) * 0.999
    assert m + u > last.total


def test_locked_and_relaxed_learn_the_same_and_streaming_nearly(chain):
    found = by_name(chain)
    digests = {name: outcome.learnt.weights_sha256 for name, outcome in found.items()}
    assert digests["locked"] == digests["relaxed"] == digests[ALONE] != digests["streaming"]
    assert digests["adaptive"] == digests["streaming"]  # nothing arrives at a rate: a sample always waits


def test_adaptive_is_early_at_low_rates_and_full_at_high_ones():
    """Streaming learns from a sample once two later ones have come; locked and relaxed cannot keep up."""
    rare = by_name(simulated(rate=10.0, arrivals="fixed", samples=60, window=3))
    for name in ("locked", "relaxed", "adaptive"):
        assert rare[name].timing.update.p95 < 100 < rare["streaming"].timing.update.p95
    assert rare["adaptive"].capacity == rare["streaming"].capacity > rare["relaxed"].capacity
    digests = {name: outcome.learnt.weights_sha256 for name, outcome in rare.items()}
    assert digests["adaptive"] == digests["relaxed"] != digests["streaming"]
    between = by_name(simulated(rate=0.9 * rare["adaptive"].capacity, samples=60, window=3))["adaptive"]
    assert between.learnt.weights_sha256 not in digests.values()
    assert 0 < sum(between.order) == between.timing.served < len(between.order)


def test_the_same_seed_is_the_same_simulation(chain):
    again, other = by_name(simulated()), by_name(simulated(seed=1))
    for name, outcome in by_name(chain).items():
        assert again[name].timing == outcome.timing
        assert again[name].learnt == outcome.learnt
        assert other[name].learnt.weights_sha256 != outcome.learnt.weights_sha256


def test_what_is_learnt_is_what_the_engines_learn():
    """All samples enter, in order: the digest of a training job over the same items."""
    from pipepita.edge.learning import Reader, Replay, train
    from pipepita.engines.local import LocalEngine
    from pipepita.pipeline.stage import stages
    from pipepita.pipeline.wiring import Plan

    found = simulated(window=2)
    task = replace(found.network.task, look_ahead=True)
    reader = Reader(found.stream, 1)
    pipeline = LocalEngine("cpu").open(Plan(stages(task, task.whole), streaming(2), 1))
    learnt = train(pipeline, streaming(2), task, Replay(reader, range(120)), reader, 1)
    assert learnt.weights_sha256 == by_name(found)["streaming"].learnt.weights_sha256


def test_more_than_a_chain_can_take_is_dropped(chain):
    capacity = {name: outcome.capacity for name, outcome in by_name(chain).items()}
    rate = 1.15 * capacity["relaxed"]
    assert rate < capacity["streaming"]
    found = by_name(simulated(rate=rate, arrivals="fixed", policy="drop-oldest", queue=2, samples=400))
    for name in ("locked", "relaxed"):
        timing = found[name].timing
        assert timing.throughput == pytest.approx(capacity[name], rel=0.02)
        assert timing.dropped_share == pytest.approx(1 - capacity[name] / rate, abs=0.02)
        assert len(found[name].learnt.predictions) == timing.served
    assert found["streaming"].timing.dropped_share == 0
    assert found["locked"].learnt.weights_sha256 != found["relaxed"].learnt.weights_sha256  # other samples


def test_late_labels_hold_the_window_up_but_not_predictions():
    delay = 0.5
    found = by_name(simulated(label_delay=delay, samples=40))
    assert 1 / found["relaxed"].timing.throughput >= delay * 0.999
    assert found["relaxed"].timing.update.label == pytest.approx(1000 * delay, rel=0.2)
    assert found["streaming"].timing.throughput > 2 * found["relaxed"].timing.throughput  # 3 labels at a time
    assert found["relaxed"].timing.prediction.p50 < 1000 * delay


def test_a_device_in_trouble_holds_the_chain_up():
    quiet = by_name(simulated())
    seconds = quiet["streaming"].timing.seconds
    paused = by_name(simulated(trouble=f"pause@{seconds / 4}-{seconds / 2}:2"))
    assert paused["streaming"].timing.seconds == pytest.approx(seconds * 1.25, rel=0.05)
    assert paused["streaming"].learnt == quiet["streaming"].learnt  # nothing is lost where the source waits
    slowed = by_name(simulated(trouble="slow=3@0-1000000:1"))
    # what it can do untroubled
    assert slowed["streaming"].capacity == pytest.approx(quiet["streaming"].capacity, rel=0.02)
    assert slowed["streaming"].timing.throughput < 0.6 * quiet["streaming"].timing.throughput


@pytest.mark.rest  # the next test has one, too
def test_a_death_that_forgets_costs_what_was_learnt():
    quiet = by_name(simulated(samples=400, lr=0.01))["locked"]
    middle = 0.75 * quiet.timing.seconds
    kept, lost = (
        by_name(simulated(samples=400, lr=0.01, trouble=f"{kind}@{middle}-{middle + 0.1}:4"))["locked"]
        for kind in ("die", "die!")
    )
    assert kept.timing == lost.timing
    assert kept.learnt == quiet.learnt  # nothing is dropped here, and weights are as they were
    assert lost.learnt.predictions[:295] == kept.learnt.predictions[:295]

    def right(outcome) -> int:
        pairs = zip(outcome.learnt.predictions[300:350], outcome.learnt.labels[300:350], strict=True)
        return sum(prediction == label for prediction, label in pairs)

    assert right(lost) < right(kept) - 10


def test_who_forgets_where_decides_what_is_learnt():
    """On a chain device 1 forgets its layer, alone it forgets them all."""
    found = by_name(simulated(trouble="die!@0.2-0.21:1", rate=100.0, samples=60))
    assert found["locked"].learnt.weights_sha256 != found[ALONE].learnt.weights_sha256


def test_a_device_that_is_off_takes_idle_power():
    (only, *_) = simulated(devices="cortex-m7", assign=None, link=None, samples=20, trouble="die@0-100").outcomes
    device = only.setup.chain.devices[0]
    assert only.timing.seconds > 100
    assert only.timing.busy[0] < 0.01
    assert only.timing.joules * 20 / only.timing.seconds == pytest.approx(device.idle_watts, rel=0.02)
    assert only.timing.prediction.compute < 100


def test_a_rule_of_one_pass_waits_for_the_label_to_enter():
    found = by_name(simulated(rule="drtp", label_delay=0.2, samples=20))
    for outcome in found.values():
        assert outcome.timing.update.label == pytest.approx(200, rel=0.01)
        assert outcome.timing.prediction.p50 > 200


def test_labels_are_waited_for_together():
    """Three at a time: each sample waits for its own label, not for those before it."""
    found = by_name(simulated(label_delay=1000.0, samples=9, window=3))
    assert found["streaming"].timing.update.label == pytest.approx(1e6, rel=0.01)
    assert found["streaming"].timing.update.queue < 1e4


def test_a_window_as_large_as_the_run_is_no_faster(chain):
    wide = by_name(simulated(window=64, samples=60))["streaming"]
    assert wide.timing.throughput == pytest.approx(60 / wide.timing.seconds)
    assert wide.capacity == pytest.approx(1 / max(cost.total + cost.ahead for cost in wide.setup.costs), rel=0.05)


def test_stops_when_it_is_asked_to():
    asked = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) > 30

    with pytest.raises(KeyboardInterrupt):
        simulate(checked(Scenario, EQUAL), stop=stop)
    assert len(asked) == 31


def test_trouble_of_a_device_is_its_own_when_it_is_alone():
    found = by_name(simulated(devices="cortex-m7,cortex-m4*3", trouble="slow=3@0-1000000:2"))
    assert found[ALONE].setup.chain.devices[0].name == "cortex-m7"
    assert found[ALONE].setup.troubles == []


@pytest.mark.parametrize("rule", ["bp", "fa", "usf", "dfa", "drtp"])
def test_other_rules_run_on_a_chain(rule):
    found = by_name(simulated(rule=rule, samples=40, activation="tanh"))
    assert found["streaming"].capacity > found["locked"].capacity
    assert found["locked"].learnt.weights_sha256 == found["relaxed"].learnt.weights_sha256
    assert found["streaming"].timing.update.compute > 0


@pytest.mark.parametrize(("name", "samples"), [("SEA", 1500), pytest.param("Agrawal", 3000, marks=pytest.mark.rest)])
def test_learns_from_rivers_generators(name, samples):
    """A stream that nobody here wrote: clearly better than the more frequent class alone would be."""
    found = by_name(
        simulated(stream=f"river:{name}", devices="cortex-m4*2", assign=None, network="fc:64", samples=samples,
                  lr=0.01, normalize=False, rule="pepita")
    )  # fmt: skip
    learnt = found["streaming"].learnt
    late = list(zip(learnt.predictions, learnt.labels, strict=True))[2 * samples // 3 :]
    right = sum(a == b for a, b in late) / len(late)
    frequent = max(sum(label == one for _, label in late) for one in (0, 1)) / len(late)
    assert right > frequent + 0.08


def test_time_alone_is_the_same_time(chain):
    alone = by_name(simulated(timing_only=True))
    for name, outcome in by_name(chain).items():
        assert alone[name].timing == outcome.timing and alone[name].capacity == outcome.capacity
        assert alone[name].learnt.predictions == []


def test_costs_can_be_measured_here():
    counted, measured = (by_name(simulated(calibrate=calibrate, samples=20)) for calibrate in (False, True))
    assert rate() > 1e8
    for cost in measured["locked"].setup.costs:
        assert isinstance(cost, Cost) and cost.standard > 0 and cost.modulated > 0 and cost.update > 0
    assert measured["locked"].setup.costs != counted["locked"].setup.costs


def test_a_network_too_large_for_any_one_device_says_so():
    found = simulated(network="fc:110x3", samples=20)
    assert ALONE not in by_name(found) and "fits on none" in found.alone


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"devices": "cortex-m4*5"}, "5 devices for 4 layers"),
        ({"devices": "coral"}, "cannot train"),
        ({"network": "fc:1024x3"}, "has 249 kB, but layer"),
        ({"policy": "drop", "rate": 9}, "unknown queue policy"),
        ({"policy": "drop-oldest"}, "policy needs --rate"),
        ({"drift": "remap@120"}, "drift remap begins at item 120, but only 120 arrive"),
        ({"devices": "cortex-m7", "assign": None}, "one device needs none"),
        ({"epochs": 3}, "option 'epochs' is an option of train"),
        ({"devices": "cortex-m7", "assign": None, "link": None, "trouble": "cut@1-2"}, "one device has no link"),
        ({"rate": 0}, "rate 0"),
        ({"trouble": "slow=2@1-2:9"}, "no device 9"),
        ({"stream": "digit"}, "did you mean 'digits'?"),
        ({"drift": "remap@"}, "remap@"),
        ({"detector": "adwim", "samples": 20}, "adwin"),
        ({"timing_only": True, "drift": "remap@5"}, "with --timing-only nothing is learnt"),
    ],
)
def test_says_what_is_wrong(options, words):
    with pytest.raises(UserError) as error:
        simulated(**options)
    assert words in str(error.value)


@pytest.mark.parametrize("rule", [EQUAL["rule"], "pepita:modulate=all,feedback=product"])
def test_the_same_job_run_for_real_ends_with_the_same_bits(tmp_path, rule):
    """In the order that was decided in virtual time, and with predicted weights, as is the default there, too."""
    adaptive = by_name(simulated(rate=20.0, rule=rule))["adaptive"]
    assert adaptive.setup.task.look_ahead and adaptive.order != by_name(simulated(rule=rule))["adaptive"].order
    (tmp_path / "order.txt").write_text("".join("01"[bit] for bit in adaptive.order))
    options = {"engine": "local", "order": tmp_path / "order.txt", "run_dir": tmp_path / "run"}
    job = checked(
        OnlineJob, {name: EQUAL[name] for name in ("network", "normalize", "samples")} | options | {"rule": rule}
    )
    summary = begin(job, io.StringIO(), Complaints, Observer())(lambda: False)
    assert summary["weights_sha256"] == adaptive.learnt.weights_sha256
