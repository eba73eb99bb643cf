import pytest

from pipepita.errors import UserError
from pipepita.schedule import BACKWARD, STANDARD, Flow, Schedule, locked, make, relaxed, streaming


def order(schedule: Schedule, samples: int, first: int = 0, **options) -> str:
    actions, passes = schedule.actions(first, **options), []
    for action in actions:
        if action.name == STANDARD and action.step == first + samples:
            actions.end(action.step)
            continue
        passes.append(str(action))
    return " ".join(passes)


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


def stage_order(window: int, layers: range, total: int, samples: int, first: int = 0) -> str:
    """The order of a stage that holds `layers`, for a backward pass. A pass of its second group prints as S0'."""
    schedule = streaming(window)
    groups = schedule.groups(layers, total, Flow.DOWN)
    actions = schedule.actions(first, (STANDARD, BACKWARD), [group.window for group in groups])
    passes = []
    for action in actions:
        if action.name == STANDARD and action.step == first + samples:
            actions.end(action.step)
            continue
        passes.append(f"{action}{chr(39) * action.part}")
    return " ".join(passes)


def test_the_window_of_a_backward_pass_tapers():
    assert stage_order(3, range(0, 1), 3, 4) == "S0 S1 S2 B0 S3 B1 B2 B3"
    assert stage_order(3, range(1, 2), 3, 4) == "S0 S1 B0 S2 B1 S3 B2 B3"
    assert stage_order(3, range(2, 3), 3, 4) == "S0 B0 S1 B1 S2 B2 S3 B3"
    assert [group.window for group in streaming(2).groups(range(8), 8, Flow.DOWN)] == [2, 1]
    assert [group.window for group in streaming(2).groups(range(8), 8, Flow.UP)] == [2]


def test_a_stage_of_two_groups_goes_through_the_samples_in_turn():
    """The upper group comes first: it uses what the lower one left for it in the round before."""
    assert stage_order(3, range(1, 3), 3, 3) == "S0 S0' B0' S1 B0 S1' B1' S2 B1 S2' B2' B2"
    assert stage_order(3, range(1, 3), 3, 1, first=4) == "S4 S4' B4' B4"
    assert stage_order(3, range(1, 3), 3, 0) == ""


@pytest.mark.parametrize(("stages", "expected"), [(1, 4), (2, 6), (8, 18)])
def test_without_a_second_pass_the_coordinator_only_keeps_the_channels_full(stages, expected):
    assert relaxed().in_flight(stages, (STANDARD,)) == streaming(3).in_flight(stages, (STANDARD,)) == expected
    assert locked().in_flight(stages, (STANDARD,)) == 1
    assert streaming(3).in_flight(stages, (STANDARD, BACKWARD)) == 3


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


@pytest.mark.parametrize(("flow", "window"), [(Flow.UP, 5), (Flow.ALL, 5), (Flow.DOWN, 8), (Flow.NONE, 1)])
def test_default_window_knows_how_the_second_pass_travels(flow, window):
    assert make("streaming", 8, None, flow).window == window


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
