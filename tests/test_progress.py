"""Work that shows how far it is, and is stopped by what shows it."""

import pytest

from pipepita.progress import silent, stoppable


def test_it_passes_on_how_far_the_work_is_until_it_is_told_to_stop():
    told, stopped = [], []
    advance = stoppable(lambda *how_far: told.append(how_far), lambda: bool(stopped))
    advance(1, 3, "layer 2")
    stopped.append(True)
    with pytest.raises(KeyboardInterrupt):
        advance(2, 3, "layer 3")
    assert told == [(1, 3, "layer 2")]
    assert silent(1, 3, "layer 2") is None
