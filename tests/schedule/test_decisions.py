import random

import pytest

from pipepita.errors import UserError
from pipepita.schedule import MODULATED, STANDARD, streaming
from pipepita.schedule.decisions import Decided, Order

from .test_order import order as fixed


def done(order: Order, samples: int, first_is_sample=lambda: True, *, window: int = 3, first: int = 0) -> str:
    """The actions of a run with so many samples."""
    actions, passes = Decided(window, first, (STANDARD, MODULATED), order, first_is_sample), []
    for action in actions:
        if action.name == STANDARD and action.step == first + samples:
            actions.end(action.step)
            continue
        passes.append(str(action))
    return " ".join(passes)


def arrivals(text: str):
    """For each choice, 1 if a sample is first, and 0 if an output is. Each must be asked for."""
    choices = iter(text)
    return lambda: next(choices) == "1"


def bits(order: Order) -> str:
    return "".join("01"[enters] for enters in order.mark())


def at_random(seed: int = 0):
    draw = random.Random(seed)
    return lambda: draw.random() < 0.5


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ("000", "S0 M0 S1 M1 S2 M2"),  # each is finished before the next one arrives: as relaxed
        ("111", "S0 S1 S2 M0 M1 M2"),  # all wait at once: as streaming
        ("10101", "S0 S1 M0 S2 M1 M2"),
        ("0101", "S0 M0 S1 S2 M1 M2"),
    ],
)
def test_a_sample_that_waits_enters_and_else_one_is_finished(choices, expected):
    order = Order()
    assert done(order, 3, arrivals(choices)) == expected
    assert bits(order) == "".join("1" if action[0] == "S" else "0" for action in expected.split())


@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("samples", [0, 1, 4, 20])
def test_if_samples_always_wait_the_order_is_that_of_streaming(window, samples):
    assert done(Order(), samples, window=window) == fixed(streaming(window), samples)


def test_with_a_window_of_one_there_is_no_choice():
    assert done(Order(), 2, arrivals(""), window=1, first=5) == "S5 M5 S6 M6"


def test_an_order_is_repeated_whatever_arrives():
    order = Order()
    passes = done(order, 30, at_random())
    decided = order.mark()
    assert done(Order(decided), 30, arrivals("")) == passes
    assert done(Order(decided[:20]), 30, at_random(1)).split()[:20] == passes.split()[:20]


def test_a_part_of_an_order_goes_on_where_the_part_before_ended():
    """As with snapshots, for which the samples in flight are finished."""
    order = Order()
    parts = [done(order, 7, at_random(part), first=7 * part) for part in range(3)]
    decided = order.mark()
    again = Order(decided)
    assert [done(again, 7, arrivals(""), first=7 * part) for part in range(3)] == parts
    assert done(Order(decided), 21, arrivals("")) == " ".join(parts)  # and without the snapshots


def test_after_a_fault_all_since_the_last_mark_is_decided_alike():
    order = Order()
    done(order, 10, at_random(), first=0)
    order.mark()
    passes = done(order, 10, at_random(1), first=10)
    order.again()
    assert done(order, 10, arrivals(""), first=10) == passes
    order.again()
    assert done(order, 12, at_random(2), first=10).startswith(" ".join(passes.split()[:10]))
    assert len(order.mark()) == 24


@pytest.mark.parametrize(
    ("decided", "complaint"),
    [
        ("0", "by action 1 a sample is finished, while none is in flight"),
        ("11011", "by action 5 a sample enters, while 2 are in flight"),
        ("1111", "by action 3 a sample enters, while 2 are in flight"),
    ],
)
def test_an_order_of_another_run_is_refused(decided, complaint):
    order = Order([bit == "1" for bit in decided])
    with pytest.raises(UserError, match=complaint):
        done(order, 9, window=2)


def test_the_actions_of_an_order_are_counted_from_its_beginning():
    order = Order([True, False, True, False, False])
    for _ in range(2):
        assert order.enters(0, 2, bool) and not order.enters(1, 2, bool)
        order.mark()
    with pytest.raises(UserError, match="by action 5 a sample is finished, while none is in flight"):
        order.enters(0, 2, bool)


def test_an_order_with_more_samples_is_refused():
    with pytest.raises(UserError, match="by action 4 a sample enters, while 1 are in flight"):
        done(Order([True, False, True, True]), 2)
