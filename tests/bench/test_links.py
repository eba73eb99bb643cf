"""Links that lead nowhere are named."""

import pytest

from bench import pages
from bench.links import dead

PAGE = "# A page\n\n## Its second part, with `code`\n\n[here](#a-page) [there](other.md#a-head)\n"


@pytest.fixture
def page(tmp_path):
    (tmp_path / "other.md").write_text("# A head\n\n```\n# no head\n```\n")
    (tmp_path / "README.md").write_text(PAGE)
    return tmp_path / "README.md"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("[x](other.md) [y](https://example.org/nothing) [z](#its-second-part-with-code)", []),
        ("`[x](nowhere.md)`\n\n    [x](nowhere.md)\n\n```\n[x](nowhere.md)\n```\n", []),
        ("[x](nowhere.md) [y](..)", ["nowhere.md"]),
        (
            "[x](#no-part) [y](other.md#no-head) [z](other.md#a-page)",
            ["#no-part", "other.md#no-head", "other.md#a-page"],
        ),
        ('<img src="a.svg" alt="a picture"> <source srcset="b.svg"> ![c](c.png)', ["a.svg", "b.svg", "c.png"]),
    ],
)
def test_dead_links_are_named(page, more, found):
    page.write_text(PAGE + more)
    assert list(dead(page)) == found


@pytest.mark.parametrize("link", ["nowhere.md", "#no-part"])
def test_figures_fails_if_a_link_leads_nowhere(page, link, monkeypatch, capsys):
    monkeypatch.setattr(pages, "ROOT", page.parent)
    monkeypatch.setattr("sys.argv", ["figures", "--check"])
    assert pages.main() == 0
    page.write_text(f"{PAGE}[x]({link})\n")
    assert pages.main() == 1
    assert f"README.md: {link} leads nowhere" in capsys.readouterr().err
