import math
import statistics

import pytest

from pipepita.edge.devices.profiles import LinkProfile
from pipepita.edge.link import PACKET_BYTES, Traffic


def link(**figures) -> LinkProfile:
    return LinkProfile("test", "test", **figures)


def test_a_message_takes_its_bits_and_the_delay():
    traffic = Traffic(link(delay=0.01, rate=8000.0), 0, "a")
    assert traffic.arrives(5.0, 100) == pytest.approx(5.0 + 0.1 + 0.01)


def test_messages_go_one_after_the_other_and_overlap_in_flight():
    traffic = Traffic(link(delay=1.0, rate=8000.0), 0, "a")
    assert [traffic.arrives(0.0, 100) for _ in range(3)] == pytest.approx([1.1, 1.2, 1.3])
    assert traffic.arrives(10.0, 100) == pytest.approx(11.1)


def test_without_a_link_nothing_takes_time():
    assert Traffic(None, 0, "a").arrives(3.0, 10**9) == 3.0
    assert Traffic(link(), 0, "a").arrives(3.0, 10**9) == 3.0


def test_jitter_stays_in_its_bounds_and_keeps_the_order():
    traffic = Traffic(link(delay=0.01, jitter=0.004), 0, "a")
    late = [traffic.arrives(float(second), 10) - second for second in range(2000)]
    assert 0.006 <= min(late) < 0.0065 and 0.0135 < max(late) <= 0.014
    assert statistics.mean(late) == pytest.approx(0.01, abs=0.0003)
    crowded = [traffic.arrives(3000.0, 10) for _ in range(100)]
    assert crowded == sorted(crowded)


def test_the_same_seed_and_link_draw_the_same():
    def drawn(seed, name):
        traffic = Traffic(link(delay=0.01, jitter=0.004, loss=0.2), seed, name)
        return [traffic.arrives(float(second), 5000) for second in range(50)]

    assert drawn(1, "a") == drawn(1, "a")
    assert drawn(1, "a") != drawn(2, "a") and drawn(1, "a") != drawn(1, "b")


@pytest.mark.parametrize("loss", [0.01, 0.2])
def test_lost_packets_come_a_round_trip_later(loss):
    """A packet of a message of one is lost n times with probability (1 - p) p^n: p / (1 - p) round trips on average."""
    traffic = Traffic(link(delay=0.05, loss=loss), 0, "a")
    late = [traffic.arrives(10.0 * number, PACKET_BYTES) - 10 * number - 0.05 for number in range(20000)]
    assert statistics.mean(late) == pytest.approx(0.1 * loss / (1 - loss), rel=0.1)
    assert {round(one / 0.1, 6) % 1 for one in late} == {0}


def test_a_long_message_is_rarely_spared():
    traffic = Traffic(link(delay=0.05, loss=0.05), 0, "a")
    spared = [math.isclose(traffic.arrives(10.0 * n, 50 * PACKET_BYTES) - 10 * n, 0.05) for n in range(2000)]
    assert sum(spared) / 2000 == pytest.approx(0.95**50, abs=0.02)


def test_while_the_link_is_cut_messages_wait():
    traffic = Traffic(link(delay=1.0), 0, "a", outage=lambda now: 20.0 if 10 <= now < 20 else None)
    assert [traffic.arrives(sent, 8) for sent in (5.0, 12.0, 19.0, 25.0)] == [6.0, 21.0, 21.0, 26.0]
