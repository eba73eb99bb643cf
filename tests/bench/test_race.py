"""The race's arithmetic: when an accuracy was reached, and which accuracies count."""

import pytest

from bench.race.course import Course
from bench.race.measure import Contender, rows, to_accuracy

LAPS = [(10.0, 20.0, 40.0), (10.0, 20.0, 60.0), (10.0, 20.0, 55.0), (10.0, 20.0, 70.0)]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (30, (10.0, 1.0, 20.0)),  # nobody looked before
        (50, (15.0, 1.5, 30.0)),
        (60, (20.0, 2.0, 40.0)),
        (65, (35.0, 3.5, 70.0)),  # from the best so far, not from the last
        (71, None),
    ],
)
def test_when_an_accuracy_is_reached(target, found):
    assert to_accuracy(LAPS, target) == found


def test_the_targets_are_what_both_reach():
    slow = [(2 * seconds, busy, accuracy - 8) for seconds, busy, accuracy in LAPS]
    contenders = [Contender("bp", lambda seed: LAPS), Contender("mine", lambda seed: slow, ours=True)]
    bp, mine = rows(Course(items=1000), contenders, {"bp": [LAPS], "mine": [slow]})
    assert (bp["items/s"], mine["items/s"]) == (100, 50)
    assert mine["s to 62.00 % (mine)"] == pytest.approx(80) and bp["s to 62.00 % (mine)"] == pytest.approx(32)
    assert (mine["/ mine"], bp["/ mine"]) == (1, pytest.approx(0.4))


def test_each_seed_has_a_target_of_its_own_that_all_reach():
    worse = [(seconds, busy, accuracy - 10) for seconds, busy, accuracy in LAPS]
    contenders = [Contender("bp", lambda seed: LAPS), Contender("mine", lambda seed: LAPS, ours=True)]
    bp, mine = rows(Course(items=1000), contenders, {"bp": [LAPS, worse], "mine": [worse, LAPS]})
    assert mine["s to 60.00 % (mine)"] == (40 + 20) / 2
    assert bp["/ mine"] == (20 / 40 + 40 / 20) / 2


def test_parts_of_the_network_are_the_whole():
    course = Course()
    assert course.splits(2) == ["1,3", "2,2", "3,1"]
    for split in course.splits(2):
        names = [name for part in (0, 1) for name in course.part(3, part, split).state_dict()]
        assert names == [*course.model(3).state_dict()]
