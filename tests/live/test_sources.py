import pytest

from pipepita.errors import UserError
from pipepita.live.sources import check, open_source


def complain(place, error):
    raise AssertionError(f"{place}: {error}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tcp:nowhere", "tcp:nowhere is no address: write it like tcp:10.0.0.5:9000"),
        ("tcp:127.0.0.1:99999", "is no address"),
        ("tcp::80", "is no address"),
        ("tcp:127.0.0.1:1", "source tcp:127.0.0.1:1 cannot be reached"),
        ("-x", "standard input is written -"),
        ("http://a", "unknown source 'http://a': one of -, mqtt:HOST/TOPIC, tcp:HOST:PORT"),
    ],
)
def test_sources_that_there_are_not(text, words):
    with pytest.raises(UserError, match=words):
        open_source(text, complain)
    if text.startswith("http"):
        with pytest.raises(UserError, match=words):
            check(text)
