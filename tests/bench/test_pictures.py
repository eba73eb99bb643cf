"""The pictures: charts are drawn from today's tables, for both grounds, and every picture of a page can be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import pages
from bench.pictures import charts, theme
from bench.pictures.make import PICTURES

_SHOWN = re.compile(r"([\w-]+)\.(?:svg|png)")
REAL = Path(theme.HERE)


@pytest.mark.parametrize("chart", [charts.speedup, charts.rules, charts.forms])
def test_a_chart_exists_for_both_grounds(chart, tmp_path, monkeypatch):
    monkeypatch.setattr(theme, "HERE", tmp_path)
    light, dark = chart()
    texts = [path.read_text() for path in (light, dark)]
    assert [light.name.endswith("-light.svg"), dark.name.endswith("-dark.svg")] == [True, True]
    assert [theme.LIGHT.ink in texts[0], theme.DARK.ink in texts[1], theme.LIGHT.ink in texts[1]] == [True, True, False]
    assert list(chart()) == [light, dark] and [path.read_text() for path in (light, dark)] == texts  # the same bytes
    for path in (light, dark):  # those in the repository are of today's table
        assert _rows(REAL / path.name) == _rows(path) is not None


def _rows(path):
    """The digest of the rows that a chart was drawn from."""
    found = re.search(r"rows ([0-9a-f]{64})", path.read_text())
    return found and found[1]


def test_every_picture_is_shown_and_made():
    folder = Path(theme.HERE)
    there = {
        path.stem.removesuffix("-light").removesuffix("-dark")
        for path in folder.iterdir()
        if path.suffix in (".svg", ".png")
    }
    shown = {
        name.removesuffix("-light").removesuffix("-dark")
        for page in pages.pages()
        for link in re.findall(r"bench/pictures/([^\"\)]+)", page.read_text())
        for name in _SHOWN.findall(link)
    }
    assert there == set(PICTURES)
    assert {f"{name}-dark.svg" for name in there if (folder / f"{name}-light.svg").exists()} <= {
        path.name for path in folder.iterdir()
    }
    assert shown == there
