import pickle

import pytest

from pipepita.edge.trouble import Fate, parse
from pipepita.edge.world import DEVICE_TROUBLES
from pipepita.errors import RunError, UserError


def fate(text: str, place: int = 0, seed: int = 0) -> Fate:
    return Fate(parse(text, 3), DEVICE_TROUBLES, place, seed)


def test_undisturbed_work_takes_its_time():
    assert fate("").finish(3, 4) == 7
    assert fate("slow=4@10-20").finish(3, 4) == 7


def test_slow_stretches_what_falls_into_it():
    slow = fate("slow=4@10-20")
    assert slow.finish(8, 4) == 10 + 2 * 4
    assert slow.finish(10, 1) == 14
    assert slow.finish(18, 4) == 20 + 3.5
    assert slow.finish(20, 1) == 21


def test_a_pause_holds_work_up():
    pause = fate("pause@10-20")
    assert pause.finish(8, 4) == 22
    assert pause.finish(12, 4) == 24


def test_a_death_loses_what_was_being_done():
    death = fate("die@10-20")
    assert death.finish(8, 4) == 24
    assert death.finish(12, 4) == 24
    assert death.finish(6, 4) == 10


def test_troubles_add_up():
    both = fate("slow=2@0-100,pause@10-20")
    assert both.finish(8, 4) == 20 + 6  # two seconds until the pause did one second's work
    assert fate("pause@1-2,pause@3-4").finish(0, 3) == 5


def test_of_troubles_that_overlap_the_worst_counts():
    assert fate("slow=2@0-100,slow=4@10-20").finish(10, 1) == 14
    assert fate("slow=4@0-100,slow=2@10-20").finish(10, 1) == 14


def test_a_place_befalls_that_device_only():
    assert fate("pause@10-20:2", place=1).finish(10, 1) == 21
    assert fate("pause@10-20:2", place=0).finish(10, 1) == 11


def test_what_a_death_took_is_asked_once():
    forgetful = fate("die!@10-20")
    assert not forgetful.forgets(0, 9.9)
    assert forgetful.forgets(9.9, 21)
    assert not forgetful.forgets(21, 99)
    assert not fate("die@10-20").forgets(0, 99)


def test_random_troubles_are_as_frequent_as_they_say_and_repeat():
    often = fate("pause~9/1", seed=5)
    assert often.finish(0, 20000) == pytest.approx(20000 * 10 / 9, rel=0.03)
    assert often.finish(0, 500) == fate("pause~9/1", seed=5).finish(0, 500)
    assert often.finish(0, 500) != fate("pause~9/1", seed=6).finish(0, 500)
    assert often.finish(0, 500) != fate("pause~9/1", place=1, seed=5).finish(0, 500)


def test_the_order_of_questions_does_not_matter():
    late_first, in_order = fate("slow=3~5/2,pause~9/1", seed=1), fate("slow=3~5/2,pause~9/1", seed=1)
    late = late_first.finish(900, 5)
    early = late_first.finish(10, 5)
    assert (in_order.finish(10, 5), in_order.finish(900, 5)) == (early, late)


def test_how_long_it_stood_still():
    both = fate("slow=2@0-100,pause@10-20,die@18-30")
    assert both.standstill(0, 9) == 0
    assert both.standstill(5, 15) == 5
    assert both.standstill(15, 50) == 15
    assert fate("").standstill(0, 100) == 0


def test_who_dies_too_often_never_finishes():
    with pytest.raises(RunError, match="never finishes a pass of 60 s: it died 10001 times"):
        fate("die~1/1").finish(0, 60)


def test_can_be_sent_to_an_actor():
    sent = pickle.loads(pickle.dumps(fate("pause~9/1,die!@3-4", seed=5)))
    assert sent.finish(0, 500) == fate("pause~9/1,die!@3-4", seed=5).finish(0, 500)
    assert sent.forgetful


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slow", "cannot be read: write it like"),
        ("slow@1-2", "needs a factor above 1"),
        ("slow=1@1-2", "needs a factor above 1"),
        ("pause=3@1-2", "only slow, needs a factor"),
        ("pause@5-5", "ends at 5 s, not after its beginning at 5 s"),
        ("nap@1-2", "unknown trouble 'nap'"),
        ("pause@1-2:4", "there is no device 4 in a chain of 3"),
        ("pause@1-2:0", "there is no device 0"),
        ("pause~0/3", "must each be at least 0.001 seconds"),
        ("pause@1-1e10", "cannot be read"),
        ("pause@1-10000000000", "1e+09 seconds are the most"),
        ("cut@1-2:4", "there is no link 4 in a chain of 3: 1 leaves device 1, 3 is the way back"),
        ("pause@1.2.3-4", "cannot be read"),
    ],
)
def test_says_what_is_wrong(text, words):
    with pytest.raises(UserError) as error:
        parse(text, 3)
    assert words in str(error.value)
