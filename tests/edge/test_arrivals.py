import itertools
import statistics

import pytest

from pipepita.edge.arrivals import Queue, times
from pipepita.errors import UserError


def taken(queue: Queue, work: float) -> list[tuple[int, float, float]]:
    """What enters a server that takes `work` seconds a sample."""
    found, now = [], 0.0
    while (sample := queue.take(now)) is not None:
        found.append(tuple(sample))
        now = sample.entered + work
    return found


def test_fixed_arrivals_are_evenly_spaced():
    assert list(itertools.islice(times(4, "fixed", 0), 3)) == [0.25, 0.5, 0.75]


def test_poisson_arrivals_have_exponential_gaps():
    found = list(itertools.islice(times(50, "poisson", 3), 20000))
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert statistics.mean(gaps) == pytest.approx(0.02, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.02, rel=0.03)
    assert found[:5] == list(itertools.islice(times(50, "poisson", 3), 5))
    assert found[:5] != list(itertools.islice(times(50, "poisson", 4), 5))


def test_a_quick_server_waits_for_each():
    assert taken(Queue(iter([1.0, 2.0, 5.0, 9.0]), 3, 4, "block"), 0.5) == [(0, 1, 1), (1, 2, 2), (2, 5, 5)]


def test_when_the_next_one_is_there():
    queue = Queue(iter([1.0, 2.0, 5.0, 9.0]), 3, 4, "block")
    assert [queue.arrival(now) for now in (0.0, 1.5, 3.0)] == [1.0, 1.5, 3.0]
    assert [queue.take(now).number for now in (3.0, 3.0)] == [0, 1]
    assert queue.arrival(3.0) == 5.0 and queue.take(4.0).entered == 5.0
    assert queue.arrival(6.0) == 6.0 and queue.take(6.0) is None  # it need not be waited for: nothing comes any more
    always = Queue(None, 2, 1, "block")
    assert always.arrival(0.5) == 0.5 and always.take(1.0).entered == 1.0


def test_blocking_loses_nothing():
    queue = Queue(times(10, "fixed", 0), 20, 2, "block")
    found = taken(queue, 1.0)
    assert [number for number, _, _ in found] == list(range(20)) and queue.dropped == []
    assert [entered for _, _, entered in found] == pytest.approx([0.1 + n for n in range(20)])


def test_drop_newest_turns_the_arriving_one_away():
    """Arrivals at 1, 2, ... 6 and a server that takes 2.5: the queue of one holds 2, then 4, while 3 and 5 are lost."""
    queue = Queue(iter(map(float, range(1, 9))), 6, 1, "drop-newest")
    assert taken(queue, 2.5) == [(0, 1, 1), (1, 2, 3.5), (3, 4, 6)]
    assert queue.dropped == [2, 4, 5]


def test_drop_oldest_keeps_the_latest():
    queue = Queue(iter(map(float, range(1, 9))), 6, 1, "drop-oldest")
    assert taken(queue, 2.5) == [(0, 1, 1), (2, 3, 3.5), (5, 6, 6)]
    assert queue.dropped == [1, 3, 4]


def test_every_sample_is_served_or_dropped():
    for policy, size in itertools.product(("block", "drop-newest", "drop-oldest"), (1, 3, 10)):
        queue = Queue(times(7, "poisson", 1), 200, size, policy)
        served = [number for number, _, _ in taken(queue, 0.3)]
        assert sorted(served + queue.dropped) == list(range(200))
        assert served == sorted(served)


def test_a_source_without_a_rate_makes_samples_when_they_are_wanted():
    assert taken(Queue(None, 3, 16, "drop-newest"), 2.0) == [(0, 0, 0), (1, 2, 2), (2, 4, 4)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: times(0, "fixed", 0), "rate 0 is not a number of samples per second above 0"),
        (lambda: times(float("inf"), "fixed", 0), "rate inf"),
        (lambda: times(1, "poison", 0), "did you mean 'poisson'?"),
        (lambda: Queue(None, 1, 0, "block"), "queue 0"),
        (lambda: Queue(None, 1, 1, "drop"), "unknown queue policy 'drop'"),
    ],
)
def test_says_what_is_wrong(make, words):
    with pytest.raises(UserError) as error:
        make()
    assert words in str(error.value)
