"""The pages: every link leads somewhere, every folder's page names all of its files, and the README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.links import dead, without_code

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT)
    for folder in (".", "pipepita", "bench", "scripts", "tests")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    if "results" not in path.parts
)
FOLDERS = sorted({path.parent for path in (ROOT / "pipepita").glob("*/*.py")})
_PICTURE = re.compile(r"<img [^>]*>|!\[[^]]*\]")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    assert not list(dead(ROOT / page))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_picture_says_in_words_what_it_shows(page):
    for picture in _PICTURE.findall(without_code((ROOT / page).read_text())):
        words = re.search(r'alt="([^"]*)"|!\[([^]]*)\]', picture)
        assert words is not None and len("".join(filter(None, words.groups()))) > 30, picture


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folders_page_names_its_files(folder):
    page = (folder / "README.md").read_text()
    first_cells = re.findall(r"^\| (\[.+?) \|", page, flags=re.MULTILINE)
    named = {file for cell in first_cells for file in re.findall(r"\]\(([^)]+)\)", cell)}
    files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    inside = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert named == files | inside


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 130
    assert len(text.split()) <= 1300
    first_screen = text.splitlines()[:45]
    assert any(line.startswith("import pipepita") for line in first_screen)
