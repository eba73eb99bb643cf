import pytest

from pipepita.edge.arrivals import Taken
from pipepita.edge.devices.profiles import DeviceProfile, Watts
from pipepita.edge.timing import power, settled_rate, timing
from pipepita.schedule.course import Arrival

DEVICES = [DeviceProfile("a", "", 1, 1, 1, Watts(2, 5)),
           DeviceProfile("b", "", 1, 1, 1, Watts(0.5, 1))]  # fmt: skip


def test_power_by_hand():
    """10 s: 2 W for all of it and 3 W more for 4 s; 0.5 W and 0.5 W more for 1 s."""
    assert power(DEVICES, [4.0, 1.0], 10.0) == (2 + 0.4 * 3, 0.5 + 0.1 * 0.5)


def test_figures_by_hand():
    taken = [Taken(0, 0.0, 0.0), Taken(2, 1.0, 1.5), Taken(3, 2.0, 3.0)]
    outputs = [Arrival(2.0, 1.5, 0.5), Arrival(4.0, 1.5, 0.5), Arrival(6.0, 1.5, 0.5)]
    updates = [Arrival(3.0, 2.0, 0.5), Arrival(7.0, 2.0, 0.5), Arrival(8.0, 2.0, 0.5)]
    found = timing(taken, outputs, updates, [0.0, 1.5, 0.0], [4.0, 1.0], DEVICES, offered=4)
    assert (found.offered, found.served, found.dropped_share, found.seconds) == (4, 3, 0.25, 8.0)
    assert found.busy == (0.5, 0.125)
    assert found.watts == power(DEVICES, [4.0, 1.0], 8.0)
    assert found.joules == sum(found.watts) * 8 / 3
    assert found.samples_until_empty([7.0, 1.125]) == (3 / 8 * 7 / 3.5, 3 / 8 * 1.125 / 0.5625)
    assert found.throughput == 3 / 8
    assert found.prediction.p50 == 3000
    assert (found.prediction.compute, found.prediction.transfer) == (1500, 500)
    assert found.prediction.queue == pytest.approx(1000 * (2 + 3 + 4) / 3 - 2000)
    assert found.update.p50 == 6000 and found.update.label == 500
    assert found.update.queue == pytest.approx(1000 * (3 + 6 + 6) / 3 - 2000 - 500 - 500)


def test_throughput_leaves_out_filling_and_draining():
    assert settled_rate([100, *range(101, 108)]) == 1
    assert settled_rate([0, 50, *range(51, 56), 55.1]) == 1
