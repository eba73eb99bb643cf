"""Predictions for many devices: what they must come to where the answer is known."""

import pytest

from pipepita import schedule as schedules
from pipepita.planning.scale import Layer, Wire, closed, exact, ours, parallel, pipelined
from pipepita.schedule import Flow
from pipepita.schedule.topology import Route
from pipepita.schedule.world import Cost

ONE = Layer(Cost(1.0, 1.0, 0.5), (0.2, 0.1), (0.2, 0.2), 0.5, weights=4000, fixed=9000, kept=500, activity=100)
FREE = Wire()


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_streaming_keeps_every_device_busy_if_hops_are_free(devices):
    found = ours("streaming", ONE, 8, devices, 4, FREE, Route())
    assert found.items_per_second == pytest.approx(4 / (2.5 * 8 / devices))


def test_locked_gains_nothing_from_more_devices():
    assert ours("locked", ONE, 8, 8, 4, FREE, Route()).items_per_second == pytest.approx(4 / 16.5)  # one update counts


@pytest.mark.parametrize("flow", [Flow.UP, Flow.ALL])
@pytest.mark.parametrize("name", ["locked", "relaxed", "streaming"])
@pytest.mark.parametrize(("layers", "stages"), [(12, 12), (30, 12), (9, 3)])
@pytest.mark.parametrize("hop", [0.0, 0.7, 5.0])
def test_the_formulas_are_what_comes_out_message_by_message(flow, name, layers, stages, hop):
    schedule = schedules.make(name, stages, None, flow)
    found = closed(schedule, ONE.whole, layers, stages, hop, flow)
    assert found == pytest.approx(exact(schedule, ONE.whole, layers, stages, hop, Route(flow=flow)), rel=0.08)


def test_hops_slow_locked_by_each_message_and_streaming_hardly():
    slow = Wire(delay=1.0)
    locked, streaming = (
        ours(name, ONE, 8, 4, 4, slow, Route()).items_per_second
        / ours(name, ONE, 8, 4, 4, FREE, Route()).items_per_second
        for name in ("locked", "streaming")
    )
    assert locked < 0.8 and streaming <= 1


def test_more_devices_than_layers_do_nothing():
    assert ours("streaming", ONE, 8, 64, 4, FREE, Route()) == ours("streaming", ONE, 8, 8, 4, FREE, Route())
    assert pipelined("GPipe", ONE, 8, 64, 64, FREE) == pipelined("GPipe", ONE, 8, 8, 64, FREE)
    assert parallel(ONE, 8, 64, 4, FREE) == parallel(ONE, 8, 4, 4, FREE)  # of four items


def test_a_pipeline_of_one_device_takes_what_its_passes_take():
    whole = 8 * (0.2 + 0.1 * 16 + 0.2 + 0.2 * 16 + 0.5)
    assert pipelined("GPipe", ONE, 8, 1, 16, FREE).items_per_second == pytest.approx(16 / whole)
    assert parallel(ONE, 8, 1, 16, FREE).items_per_second == pytest.approx(16 / whole)


def test_gpipes_bubble_is_that_of_its_paper():
    """(N - 1) / (M + N - 1) of the time, if a pass has no part that does not shrink (Huang et al. 2019)."""
    ideal = Layer(Cost(1, 1), (0.0, 1.0), (0.0, 2.0), 0.0, 0, 0, 0, 0)
    found = pipelined("GPipe", ideal, 4, 4, 8, FREE)  # eight micro-batches are best
    assert found.items_per_second == pytest.approx(8 / ((8 + 3) * 3))


def test_1f1b_is_as_fast_and_keeps_less():
    gpipe, other = (pipelined(name, ONE, 64, 8, 64, FREE) for name in ("GPipe", "1F1B"))
    assert gpipe.items_per_second == pytest.approx(other.items_per_second, rel=0.3)
    assert other.memory < gpipe.memory


def test_data_parallelism_pays_for_the_sum_of_the_weights():
    wire = Wire(delay=1e-4, rate=1e3)
    summed = 2 * 3 * (8 * 4000 / 4 / 1e3 + 1e-4)
    found = parallel(ONE, 8, 4, 16, wire)
    assert 16 / found.items_per_second == pytest.approx(8 * (0.2 + 0.1 * 4) + summed + 8 * 0.5)
    assert parallel(ONE, 8, 4, 16, FREE).items_per_second > found.items_per_second


def test_memory_and_staleness_grow_with_the_window():
    small, large = (ours("streaming", ONE, 64, devices, 4, FREE, Route()) for devices in (2, 32))
    assert small.staleness < large.staleness
    relaxed = ours("relaxed", ONE, 64, 32, 4, FREE, Route())
    assert relaxed.staleness == 0 and relaxed.memory < large.memory
