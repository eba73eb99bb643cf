import pytest

from pipepita.timeline.reading import busy_share


def test_latencies_from_admission(timeline):
    assert timeline.prediction_ms(0) == [13, 13]  # from 1 to 14
    assert timeline.update_ms(0) == [29, 29]  # from 1 to 30, the last update of any stage
    assert timeline.update_ms(1) == [29]


def test_how_long_the_coordinator_waited_for_data(timeline):
    assert timeline.data_ms(0) == [1, 1]
    assert timeline.data_ms(1) == [1]


def test_lock_time_of_every_layer(timeline):
    """From the end of a sample's standard pass to the begin of the next one's."""
    assert timeline.lock_ms(1, 0) == [44 - 6]
    assert timeline.lock_ms(2, 0) == [46 - 8]
    assert timeline.lock_ms(3, 0) == [50 - 12]
    assert timeline.lock_ms(4, 0) == []


def test_where_the_time_goes(timeline):
    shares = timeline.shares_ms(0, 1)  # of the second sample, whose first span begins at 25
    assert shares == pytest.approx({"receive": (44 - 25) + 9, "standard": 4, "send": 2, "modulated": 2, "update": 4})
    assert busy_share(timeline, 0, 1) == pytest.approx(12 / 40)


def test_hops_where_the_receiver_waited(timeline):
    """Stage 0 sends from 8 to 9, and stage 1 has it at 10. It sends again from 20 to 21, and stage 1 has it at 22."""
    assert timeline.hops_ms(0) == {"send": [1, 1, 1, 1], "wake": [1, 1, 1, 1]}
    assert timeline.hops_ms(1) == {"send": [1, 1], "wake": [1, 1]}
