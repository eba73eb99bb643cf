"""The pages: every link leads somewhere, every folder's page names all of its files, and the README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT)
    for folder in (".", "pipepita", "bench", "scripts", "tests")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    if "results" not in path.parts
)
FOLDERS = sorted({path.parent for path in (ROOT / "pipepita").glob("*/*.py")})
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_PICTURE = re.compile(r"<img [^>]*>|!\[[^]]*\]")
_CODE = re.compile(r"```.*?```|`[^`\n]*`|^    [^\n]*$", re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for link in ("".join(groups) for groups in _LINK.findall(_CODE.sub("", text))):
        if re.match(r"[a-z]+:", link):
            continue  # nothing here needs the network
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_picture_says_in_words_what_it_shows(page):
    for picture in _PICTURE.findall(_CODE.sub("", (ROOT / page).read_text())):
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
