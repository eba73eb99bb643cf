"""Forecasts of pipelines from made-up costs, next to what follows from the costs by hand."""

from __future__ import annotations

import pytest

from pipepita.network.partition import divide
from pipepita.schedule import Flow, locked, relaxed, streaming
from pipepita.schedule.ceiling import period
from pipepita.schedule.forecast import Coordination, Message, arrivals, forecast
from pipepita.schedule.topology import Route, Topology
from pipepita.schedule.world import Cost

SCHEDULES = {schedule.name: schedule for schedule in (locked(), relaxed(), streaming(3))}
ROUTES = {
    "up": Route(),
    "down": Route(("standard", "backward"), Flow.DOWN),
    "all": Route(("standard", "broadcast"), Flow.ALL),
    "none": Route(("standard",), Flow.NONE),
}


def split(*layers: int) -> list[range]:
    return divide(",".join(map(str, layers)), [1.0] * sum(layers)) if len(layers) > 1 else [range(*layers)]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", SCHEDULES)
def test_without_messages_it_is_the_closed_form(name, route):
    costs = [Cost(3, 2, 1), Cost(1, 1, 1), Cost(2, 5, 0.5)]
    for parts in (split(3), split(1, 2), split(1, 1, 1)):
        for cores in (1, 2, 4):
            expected = period(SCHEDULES[name], costs, cores=cores, route=ROUTES[route], parts=parts)
            found = forecast(SCHEDULES[name], costs, parts, ROUTES[route], cores=cores)
            assert found.period == pytest.approx(expected)


def test_the_words_for_what_limits():
    layers, four = [Cost(1, 1)] * 4, split(1, 1, 1, 1)
    assert forecast(streaming(4), layers, four, Route(), cores=2).limit == "cores"
    assert forecast(streaming(4), [Cost(1, 1), Cost(5, 5), Cost(1, 1)], split(1, 1, 1), Route(), cores=8).limit == (
        "stage 2"
    )
    assert forecast(relaxed(), layers, four, Route(), cores=8).limit == "order"
    assert forecast(relaxed(), layers, four, Route(), message=Message(wake=9), cores=8).limit == "hops"
    slow = Coordination(prepare=20)
    assert forecast(streaming(4), layers, four, Route(), coordination=slow, cores=8).limit == "coordinator"


def test_the_way_of_a_sample_has_every_hop_in_it():
    """Locked, two stages: the sample, one message between them, the output; the error, one more; and two reports."""
    costs, message = [Cost(10, 10, 4)] * 2, Message(wake=1)
    assert forecast(locked(), costs, split(1, 1), Route(), message=message, cores=8).period == 40 + 4 + 5 + 1
    # the update of the first stage is over when the second one's begins
    assert forecast(relaxed(), costs, split(1, 1), Route(), message=message, cores=8).period == pytest.approx(
        10 + 10 + 10 + 4 + 3
    )


def test_every_message_is_work_for_both_ends():
    nothing, message = [Cost(0, 0)] * 3, Message(send=1, wake=2, receive=2)
    alone = forecast(streaming(3), nothing, split(3), Route(), message=message, cores=1)
    # the sample and its output, and the error
    assert alone.period == pytest.approx(3 * 3)
    staged = forecast(streaming(3), nothing, split(1, 1, 1), Route(), message=message, cores=1)
    assert staged.period == pytest.approx(7 * 3)
    assert staged.limit == "cores"


def test_what_a_receiver_does_is_a_part_of_its_waking_up():
    """One stage. The sample is there already; then the output, its error, and locked also a report and the sample."""
    found = {
        (name, wake): forecast(
            SCHEDULES[name], [Cost(10, 10, 4)], split(1), Route(), message=Message(wake=wake, receive=2), cores=8
        ).period
        for name in ("relaxed", "locked")
        for wake in (3, 1)
    }
    both_passes, answer = (2 + 10) + (2 + 10 + 4), 2
    assert found["relaxed", 3] == both_passes + answer + 2 * (3 - 2)
    assert found["relaxed", 1] == both_passes + answer
    assert found["locked", 3] == both_passes + answer + 2 + 4 * (3 - 2)


@pytest.mark.parametrize(("route", "expected"), [("up", 6), ("down", 6), ("all", 6), ("none", 3)])
def test_arrivals(route, expected):
    """Three stages. With the flow ALL each gets the error; with NONE this route has no signal."""
    assert arrivals(Topology(ROUTES[route], split(1, 1, 1))) == expected


def test_what_the_coordinator_prepares_ahead_is_only_noticed_if_it_takes_longer_than_the_sample():
    costs = [Cost(4, 4)] * 2
    free, ahead, late = (
        forecast(relaxed(), costs, split(1, 1), Route(), coordination=Coordination(ahead=time), cores=8).period
        for time in (0, 7, 30)
    )
    assert free == ahead < late
