"""Links of a page that lead nowhere: `scripts/figures --check` names them. Nothing here needs the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_CODE = re.compile(r"```.*?```|`[^`\n]*`|^    [^\n]*$", re.DOTALL | re.MULTILINE)


def without_code(text: str) -> str:
    """The page without what stands in it as code.

    Example:
        >>> without_code("see `a[0](b)` [here](there)")
        'see  [here](there)'
    """
    return _CODE.sub("", text)


def dead(page: Path) -> Iterator[str]:
    """The links and pictures of `page` for which there is no file, or no heading of that name in it."""
    for link in ("".join(groups) for groups in _LINK.findall(without_code(page.read_text()))):
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target.read_text())):
            yield link


def _anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
