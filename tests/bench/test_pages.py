"""Tables and figures of pages come from JSON files: a changed digit, and a figure without a source, are noticed."""

from __future__ import annotations

import json

import pytest

from bench import common, pages
from bench.pages import Wrong, rendered, unsourced

RESULT = {"tables": {"1": [{"what": "one", "ms": 1.2345}, {"what": "two", "ms": "2,345.6"}]}}
PAGE = """# A page

<!-- table: result.json 1 -->
| what | ms |
|---|---|
| one | 1.23 |
| two | 2,345.6 |
<!-- end -->

It takes 1.2<!-- result.json 1 0 ms .1f --> or 2346<!-- result.json 1 1 ms .0f --> ms.
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(RESULT))
    return tmp_path


def test_every_page_here_is_as_its_json_has_it():
    for page in pages.pages():
        text = page.read_text()
        assert rendered(text, page.parent) == text, f"{page}: run scripts/figures"
        assert not list(unsourced(text))


def test_the_readme_has_at_most_eight_figures_and_says_where_from():
    text = (pages.ROOT / "README.md").read_text()
    assert 0 < len(pages._FIGURE.findall(text)) <= 8
    assert "<!-- figures -->" in text


@pytest.mark.parametrize(
    "change", [("1.23", "1.24"), ("takes 1.2", "takes 1.3"), ("2,345.6 |", "2,345.7 |"), ("or 2346", "or 9")]
)
def test_a_changed_digit_is_put_right(folder, change):
    assert rendered(PAGE, folder) == PAGE
    assert rendered(PAGE.replace(*change), folder) == PAGE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("result.json 1 -->", "result.json 2 -->"), "result.json has no table 2"),
        (("result.json 1 -->", "other.json 1 -->"), "other.json has no table 1"),
        (("1 0 ms", "1 2 ms"), "there is no such row or column"),
        (("1 0 ms", "1 0 s"), "there is no such row or column"),
        (("1 0 ms .1f", "1 0 ms"), "has 4 words, not 5"),
    ],
)
def test_a_marker_that_leads_nowhere(folder, change, words):
    with pytest.raises(Wrong, match=words):
        rendered(PAGE.replace(*change, 1), folder)


def test_a_figure_without_a_source():
    block = "<!-- figures -->\n| 1.5<!-- a b 0 c .1f --> of [2](x1.md) and `3` |\n<!-- end figures -->\n"
    assert [line.split()[0] for line in unsourced(block)] == ["2"]
    assert not list(unsourced(block.replace("[2]", "[two]")))
    assert not list(unsourced("1.5 and 2.5, outside"))


def test_the_command_fails_on_a_changed_digit(folder, monkeypatch, capsys):
    page = folder / "README.md"
    page.write_text(PAGE.replace("1.23", "1.24"))
    monkeypatch.setattr(pages, "ROOT", folder)
    monkeypatch.setattr(pages, "pages", lambda: [page])
    monkeypatch.setattr("sys.argv", ["figures", "--check"])
    assert pages.main() == 1
    assert "README.md: differs from its JSON at: | one | 1.24 |" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["figures"])
    assert pages.main() == 0
    assert page.read_text() == PAGE
    monkeypatch.setattr("sys.argv", ["figures", "--check"])
    assert pages.main() == 0


def test_a_benchmark_writes_both(folder):
    (folder / "README.md").write_text(PAGE)
    pages.write(folder / "result.json", {"tables": {"1": [{"what": "one", "ms": 7.0}, {"what": "two", "ms": 8.0}]}})
    text = (folder / "README.md").read_text()
    assert "| one | 7 |" in text and "takes 7.0<!--" in text
    assert json.loads((folder / "result.json").read_text())["tables"]["1"][1]["ms"] == 8.0


def test_a_result_that_lacks_a_table_of_the_page_changes_nothing(folder):
    (folder / "README.md").write_text(PAGE)
    with pytest.raises(Wrong, match=r"result.json has no table 1"):
        pages.write(folder / "result.json", {"tables": {"2": [{"what": "one", "ms": 7.0}]}})
    assert (folder / "README.md").read_text() == PAGE
    assert json.loads((folder / "result.json").read_text()) == RESULT


def test_a_quick_look_is_not_written(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench.step", "--quick", "--write"])
    with pytest.raises(SystemExit) as end:
        common.main(lambda quick: [], None)
    assert end.value.code == 2
    assert "--quick is not to be quoted" in capsys.readouterr().err
