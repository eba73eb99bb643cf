import pytest

from pipepita.clock import clock
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
