"""What a run that died has left, if a part of it is damaged or missing."""

import pytest

from pipepita.live.items import Parser
from pipepita.live.past import Past


def waiting(kept):
    return Past(kept=kept, asked=[("a", 7, 1)]).waiting(Parser((2,), 4))


def test_items_that_waited_for_their_labels_are_read_again():
    (entry,) = waiting({7: b'{"id": "a", "x": [0.5, 1]}'})
    assert (entry.id, entry.x.tolist(), entry.label) == ("a", [0.5, 1.0], None)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({6: b"1,2"}, "line 7 of the journal is missing"),
        ({7: b"1,2,3,4"}, "line 7 of the journal: the wrong number of cells"),
        ({7: b'{"id": "a", "y": 1}'}, "line 7 of the journal holds no item"),
    ],
)
def test_a_journal_that_does_not_have_them_is_named(kept, words):
    with pytest.raises(ValueError, match=words):
        waiting(kept)
