import pytest

from pipepita.errors import UserError
from pipepita.schedule import BACKWARD, MODULATED, STANDARD, Flow, locked, make, relaxed, streaming
from pipepita.schedule.clock import clock, events, settled_period
from pipepita.schedule.topology import Route
from pipepita.schedule.world import Cost

EVERYWHERE = Route((STANDARD, MODULATED), Flow.ALL)
DOWN = Route((STANDARD, BACKWARD), Flow.DOWN)
ONCE = Route((STANDARD,), Flow.NONE)


def drawn(*arguments, **options) -> list[str]:
    return [" ".join(str(cell) if cell else "." for cell in row) for row in clock(*arguments, **options).rows]


def test_locked_waits_for_the_last_update():
    assert drawn(locked(), 3, 2) == [
        "S0 . . M0 . . S1 . . M1 . .",
        ". S0 . . M0 . . S1 . . M1 .",
        ". . S0 . . M0 . . S1 . . M1",
    ]


def test_relaxed_follows_the_modulated_pass():
    assert drawn(relaxed(), 3, 2) == [
        "S0 . . M0 S1 . . M1 . .",
        ". S0 . . M0 S1 . . M1 .",
        ". . S0 . . M0 S1 . . M1",
    ]


def test_streaming_fills_the_slots():
    assert drawn(streaming(2), 3, 4) == [
        "S0 S1 . M0 S2 M1 S3 M2 . M3 . .",
        ". S0 S1 . M0 S2 M1 S3 M2 . M3 .",
        ". . S0 S1 . M0 S2 M1 S3 M2 . M3",
    ]


def test_broadcast_begins_everywhere_at_once():
    assert drawn(relaxed(), 3, 2, route=EVERYWHERE) == [
        "S0 . . M0 S1 . . M1",
        ". S0 . M0 . S1 . M1",
        ". . S0 M0 . . S1 M1",
    ]


def test_a_backward_pass_keeps_every_layer_locked():
    rows = [
        "S0 . . . . B0 S1 . . . . B1",
        ". S0 . . B0 . . S1 . . B1 .",
        ". . S0 B0 . . . . S1 B1 . .",
    ]
    assert drawn(relaxed(), 3, 2, route=DOWN) == drawn(locked(), 3, 2, route=DOWN) == rows


def test_backward_passes_in_flight_are_1f1b():
    assert drawn(streaming(3), 3, 4, route=DOWN) == [
        "S0 S1 S2 . . B0 S3 B1 . B2 . B3",
        ". S0 S1 . B0 S2 B1 S3 B2 . B3 .",
        ". . S0 B0 S1 B1 S2 B2 S3 B3 . .",
    ]


def test_without_a_second_pass_nothing_is_locked():
    assert drawn(relaxed(), 3, 3, route=ONCE) == ["S0 S1 S2 . .", ". S0 S1 S2 .", ". . S0 S1 S2"]
    assert drawn(locked(), 3, 2, route=ONCE) == ["S0 . . S1 . .", ". S0 . . S1 .", ". . S0 . . S1"]


@pytest.mark.parametrize("layers", [2, 4, 8])
def test_periods_of_other_routes(layers):
    """Backward: 2L if locked or relaxed, 2 if K = L. Broadcast: L + 1, streaming 2. One pass: L if locked, else 1."""
    for route, locked_slots, relaxed_slots, streaming_slots in (
        (DOWN, 2 * layers, 2 * layers, 2),
        (EVERYWHERE, layers + 1, layers + 1, 2),
        (ONCE, layers, 1, 1),
    ):
        assert clock(locked(), layers, 8, route=route).period == locked_slots
        assert clock(relaxed(), layers, 8 * layers, route=route).period == relaxed_slots
        full = make("streaming", layers, None, route.flow)
        assert clock(full, layers, 30 * layers, route=route).period == pytest.approx(streaming_slots, abs=0.1)


@pytest.mark.parametrize(("window", "parts"), [(2, 2), (4, 4), (8, 8), (8, 2), (8, 4)])
def test_1f1b_fills_stages_of_several_layers(window, parts):
    """The window falls from layer to layer, so as many equal stages as there are samples in flight are always busy."""
    split = [range(first, first + 8 // parts) for first in range(0, 8, 8 // parts)]
    assert settled_period(streaming(window), [Cost()] * 8, route=DOWN, parts=split) == pytest.approx(16 / parts)


def test_1f1b_overlaps_stages_that_do_not_begin_where_the_window_falls():
    """With nine layers and window 2 it falls to 1 at the sixth layer; the second stage begins there or one before."""
    for place in (4, 5):
        split = [range(place), range(place, 9)]
        assert settled_period(streaming(2), [Cost()] * 9, route=DOWN, parts=split) == pytest.approx(10)


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 8, 16])
def test_periods_are_the_closed_forms(layers):
    """With one slot per pass: locked 2L, relaxed L + 1, streaming 2 if K >= (L + 1) / 2."""
    assert clock(locked(), layers, 8).period == 2 * layers
    assert clock(relaxed(), layers, 8).period == layers + 1
    full = make("streaming", layers)
    assert clock(full, layers, 20 * full.window).period == pytest.approx(2, abs=0.1)


def test_refuses_nothing_to_draw():
    with pytest.raises(UserError, match="at least one layer"):
        clock(locked(), 0, 3)


def test_a_stage_sends_on_before_it_updates():
    """Stage 1's modulated pass begins with stage 0's update; the next sample waits for that update, not for stage 1."""
    passes = events(relaxed(), [Cost(1, 2, 4), Cost(1, 2, 4)], 2)
    begins = {(event.stage, str(event.action)): event.begin for event in passes}
    assert begins[(0, "M0")] == 2
    assert begins[(1, "M0")] == 4
    assert begins[(0, "S1")] == 2 + 2 + 4


def test_unequal_stages_go_at_the_pace_of_the_slowest():
    costs = [Cost(1, 1, 0), Cost(3, 2, 1), Cost(1, 1, 0)]
    assert settled_period(streaming(6), costs) == pytest.approx(6)
    assert settled_period(locked(), costs) == pytest.approx(1 + 3 + 1 + 1 + 2 + 1)


@pytest.mark.parametrize("layers", [2, 5, 8])
@pytest.mark.parametrize(("standard", "modulated", "hop"), [(10, 10, 0), (3, 5, 0.5), (4, 2, 1)])
def test_hops_and_unequal_passes_have_the_closed_forms(layers, standard, modulated, hop):
    """Relaxed: Ls + m + (L + 1)d. Locked: L(s + m) + 2(L + 1)d, since it waits for a report of the last update."""
    costs = [Cost(standard, modulated)] * layers
    assert settled_period(locked(), costs, hop=hop) == pytest.approx(
        layers * (standard + modulated) + 2 * (layers + 1) * hop
    )
    assert settled_period(relaxed(), costs, hop=hop) >= layers * standard + modulated + (layers + 1) * hop - 1e-9
    if standard >= modulated:
        assert settled_period(relaxed(), costs, hop=hop) == pytest.approx(
            layers * standard + modulated + (layers + 1) * hop
        )
