import pytest

from pipepita.clock import Cost, clock, events, settled_period
from pipepita.errors import UserError
from pipepita.schedule import locked, make, relaxed, streaming


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
    assert drawn(relaxed(), 3, 2, broadcast=True) == [
        "S0 . . M0 S1 . . M1",
        ". S0 . M0 . S1 . M1",
        ". . S0 M0 . . S1 M1",
    ]


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 8, 16])
def test_periods_are_the_closed_forms(layers):
    """With a slot a pass: locked 2L, relaxed L + 1, streaming 2 once K >= (L + 1) / 2."""
    assert clock(locked(), layers, 8).period == 2 * layers
    assert clock(relaxed(), layers, 8).period == layers + 1
    full = make("streaming", layers)
    assert clock(full, layers, 20 * full.window).period == pytest.approx(2, abs=0.1)


def test_refuses_nothing_to_draw():
    with pytest.raises(UserError, match="at least one layer"):
        clock(locked(), 0, 3)


def test_a_stage_sends_on_before_it_updates():
    """Stage 1's modulated pass begins with stage 0's update; the next sample waits for that update, not for stage 1."""
    found = events(relaxed(), [Cost(1, 2, 4), Cost(1, 2, 4)], 2)
    begins = {(event.stage, str(event.action)): event.begin for event in found}
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
    """Ls + m + (L + 1)d relaxed; L(s + m) + 2(L + 1)d locked, which also waits for word of the last update."""
    costs = [Cost(standard, modulated)] * layers
    assert settled_period(locked(), costs, hop=hop) == pytest.approx(
        layers * (standard + modulated) + 2 * (layers + 1) * hop
    )
    assert settled_period(relaxed(), costs, hop=hop) >= layers * standard + modulated + (layers + 1) * hop - 1e-9
    if standard >= modulated:
        assert settled_period(relaxed(), costs, hop=hop) == pytest.approx(
            layers * standard + modulated + (layers + 1) * hop
        )
