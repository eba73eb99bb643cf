"""Tables and figures of pages come from the JSON files beside them: `scripts/figures`, and `scripts/figures --check`.

<!-- table: result.json 1 -->                      the rows called "1" of that file, as a Markdown table
| ... |
<!-- end -->

1.72<!-- result.json 1 2 "speed-up" .2f -->        one number: file, table, row (from 0), column, format

Files are named from the page's folder. A benchmark writes its file with `python -m bench.NAME --write`: result.json,
or NAME.json if it is one of several in the folder (`python -m bench.race.tries --write`: tries.json).
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.common import markdown, note
from bench.links import dead
from pipepita.errors import RunError

ROOT = Path(__file__).parents[1]
_TABLE = re.compile(r"(?P<head><!-- table: (?P<where>[^>]+?) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)
_FIGURE = re.compile(r"(?P<figure>\d[\d,.]*\d|\d)(?P<comment><!-- (?P<where>[^>:]+? [^>:]+?) -->)")
_SOURCED = re.compile(r"<!-- figures -->\n(?P<body>.*?)<!-- end figures -->", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,.]*")


class Wrong(RunError):
    """A marker that cannot be followed, in one line."""


def pages() -> list[Path]:
    """All pages that may have such markers."""
    return [ROOT / "README.md", *sorted(ROOT.glob("bench/**/*.md")), *sorted(ROOT.glob("pipepita/*/README.md"))]


def rendered(text: str, folder: Path, new: dict[Path, dict[str, Any]] | None = None) -> str:
    """The page with its tables and figures as the JSON files have them, or will have them: those in `new`."""

    def rows(file: str, name: str) -> list[dict[str, Any]]:
        return _rows(folder / file, name, new or {})

    def table(match: re.Match[str]) -> str:
        file, name = _words(match["where"], 2)
        return f"{match['head']}{markdown(rows(file, name))}\n{match['tail']}"

    def figure(match: re.Match[str]) -> str:
        file, name, row, column, form = _words(match["where"], 5)
        value = _value(rows(file, name), row, column, match["where"])
        number = float(str(value).strip("*").replace(",", ""))
        return f"{number:{form}}{match['comment']}"

    return _FIGURE.sub(figure, _TABLE.sub(table, text))


def unsourced(text: str) -> Iterator[str]:
    """The numbers between <!-- figures --> and <!-- end figures --> of which nothing says where they come from."""
    for block in _SOURCED.finditer(text):
        plain = _FIGURE.sub("", re.sub(r"\]\([^)]*\)", "]", block["body"]))
        for line in plain.splitlines():
            if found := _NUMBER.search(re.sub(r"`[^`]*`|<!--.*?-->", "", line)):
                yield f"{found[0]} in {line.strip()!r}"


def write(file: Path, result: dict[str, Any]) -> None:
    """Writes a benchmark's result beside its page, and the page anew; nothing, and `Wrong`, if it lacks a table."""
    result = json.loads(json.dumps(result, default=str))
    page = file.parent / "README.md"
    text = rendered(page.read_text(), file.parent, {file: result})
    file.write_text(json.dumps(result, indent=1) + "\n")
    page.write_text(text)


def _words(where: str, count: int) -> list[str]:
    words = shlex.split(where)
    if len(words) != count:
        raise Wrong(f"<!-- {where} --> has {len(words)} words, not {count}")
    return words


def _rows(file: Path, name: str, new: dict[Path, dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        return (new[file] if file in new else json.loads(file.read_text()))["tables"][name]
    except (OSError, ValueError, KeyError, TypeError):
        raise Wrong(f"{file.name} has no table {name}") from None


def _value(rows: list[dict[str, Any]], row: str, column: str, where: str) -> Any:
    try:
        return rows[int(row)][column]
    except (ValueError, LookupError):
        raise Wrong(f"<!-- {where} -->: there is no such row or column") from None


def main() -> int:
    """Writes pages anew, or with --check says which differ from their JSON."""
    parser = argparse.ArgumentParser(
        prog="scripts/figures", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if a page and its JSON differ, or a link is dead"
    )
    check, wrong = parser.parse_args().check, []
    for page in pages():
        text, name = page.read_text(), page.relative_to(ROOT)
        try:
            new = rendered(text, page.parent)
        except Wrong as error:
            wrong.append(f"{name}: {error}")
            continue
        wrong += [f"{name}: nothing says where {one} comes from" for one in unsourced(text)]
        wrong += [f"{name}: {link} leads nowhere" for link in dead(page)]
        if new != text and check:
            lines = zip(text.splitlines(), new.splitlines(), strict=False)
            first = next((one for one, other in lines if one != other), "its end")
            wrong.append(f"{name}: differs from its JSON at: {first[:100]}")
        elif new != text:
            page.write_text(new)
            note(f"{name}: written")
    for line in wrong:
        note(line)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
