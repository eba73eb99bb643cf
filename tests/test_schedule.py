import pytest

from pipepita.errors import UserError
from pipepita.schedule import STANDARD, Schedule, locked, make, relaxed, streaming


def order(schedule: Schedule, samples: int, first: int = 0, **options) -> str:
    actions, found = schedule.actions(first, **options), []
    for action in actions:
        if action.name == STANDARD and action.step == first + samples:
            actions.end(action.step)
            continue
        found.append(str(action))
    return " ".join(found)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (locked(), "S0 M0 S1 M1 S2 M2"),
        (relaxed(), "S0 M0 S1 M1 S2 M2"),
        (streaming(1), "S0 M0 S1 M1 S2 M2"),
        (streaming(2), "S0 S1 M0 S2 M1 M2"),
        (streaming(3), "S0 S1 S2 M0 M1 M2"),
        (streaming(9), "S0 S1 S2 M0 M1 M2"),
    ],
)
def test_three_samples(schedule, expected):
    assert order(schedule, 3) == expected


def test_steady_state_of_window_two():
    assert order(streaming(2), 5) == "S0 S1 M0 S2 M1 S3 M2 S4 M3 M4"


def test_goes_on_where_it_was():
    assert order(streaming(2), 3, first=7) == "S7 S8 M7 S9 M8 M9"


@pytest.mark.parametrize("window", [1, 2, 5])
def test_nothing_admitted_is_nothing_done(window):
    assert order(streaming(window), 0) == ""


def test_a_rule_with_one_pass_has_only_that():
    assert order(streaming(3), 3, passes=(STANDARD,)) == "S0 S1 S2"


@pytest.mark.parametrize("window", [1, 2, 3, 7])
@pytest.mark.parametrize("samples", [1, 2, 6, 20])
def test_window_is_kept_and_every_pass_comes_once(window, samples):
    in_flight, most, seen = 0, 0, order(streaming(window), samples).split()
    for action in seen:
        in_flight += 1 if action[0] == "S" else -1
        most = max(most, in_flight)
    assert most == min(window, samples)
    assert sorted(seen) == sorted(f"{kind}{step}" for kind in "SM" for step in range(samples))


@pytest.mark.parametrize(("layers", "window"), [(1, 2), (2, 2), (3, 2), (4, 3), (8, 5), (9, 5), (16, 9)])
def test_default_window_fills_the_pipeline(layers, window):
    assert make("streaming", layers).window == window


@pytest.mark.parametrize(
    ("name", "window", "words"),
    [
        ("stream", None, "did you mean 'streaming'"),
        ("streaming", 0, "window 0"),
        ("streaming", 129, "window 129 is above 128"),
        ("relaxed", 2, "window 2 needs"),
    ],
)
def test_refuses(name, window, words):
    with pytest.raises(UserError, match=words):
        make(name, 4, window)
