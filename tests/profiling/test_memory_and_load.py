import pytest

from pipepita.profiling import load as module
from pipepita.profiling import memory
from pipepita.profiling.load import Load, idle_watts, load
from pipepita.profiling.power import Meter


def test_memory_has_a_size_and_a_speed(monkeypatch):
    assert 1 << 20 < memory.free() < 1 << 45
    monkeypatch.setattr(memory, "_BYTES", 1 << 22)
    assert 1e7 < memory.bandwidth() < 1e13


@pytest.mark.parametrize(
    ("rates", "kept"),
    [([4.0] * 20, 1.0), ([4.0] * 10 + [2.0] * 10, 0.5), ([4.0, 3.0], 0.75), ([4.0], 1.0), ([1.0, 4.0], 1.0)],
)
def test_what_is_kept_is_the_end_over_the_beginning(rates, kept):
    assert Load(rates, None).kept == kept


def test_a_load_lasts_and_can_be_ended(monkeypatch):
    monkeypatch.setattr(module, "_STRETCH", 0.02)
    told = []
    joules = iter([10.0, 16.0])
    found = load(0.1, Meter("some", lambda: next(joules)), lambda *state: told.append(state))
    assert len(found.rates) == 5 and all(rate > 1e6 for rate in found.rates) and found.watts > 0
    assert told[-1] == (4, 5, "under load")
    with pytest.raises(KeyboardInterrupt):
        load(10.0, None, stop=lambda: True)
    assert load(0.02, None).watts is None and idle_watts(None) is None
