"""The commands and fenced blocks of a page. A command is a line in a block that begins with a program's name."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.pages import ROOT

_PROGRAM = re.compile(
    r"^(?:[A-Z_]+=\S+ )*(?:sensor \| )?(?:pipepita |pipepita$|python -m |(?:\./)?scripts/[\w-]++(?![/,])|ray start|N=)"
)
_ALMOST = re.compile(r"(?:^|[|$;] *)(?:pipepita|python|pip|ray|(?:\./)?scripts/[\w-]+) ")  # perhaps meant as a command
_FENCE = re.compile(r"^\s*```(\w*)")
_LANGUAGES = ("python", "toml")


@dataclass(frozen=True)
class Command:
    """A command of a page: where it stands, and what it is without its comment."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Block:
    """A fenced block in a language; or a line that is wrong, and then `language` says what is wrong with it.

    Attributes:
        line: The number of its first line in the page, from 1.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: a block of {self.language}"


def read(page: Path) -> Iterator[Command | Block]:
    """The page's commands and blocks, in their order."""
    language, begun, body, continued = None, 0, list[str](), ""
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, begun, body = fence[1], number + 1, []
            continue
        if fence:
            if language:
                yield Block(page, begun, language, "\n".join(body) + "\n")
            language = None
            continue
        if language:
            body.append(line)
            continue
        if language is None and not line.startswith("    "):
            if _PROGRAM.match(line):
                yield Block(page, number, f"a command that is not indented: {line}", line)
            continued = ""
            continue
        text = continued + " ".join(line.split())
        continued = ""
        if text.endswith(" \\"):
            continued = text[:-1]
        elif _PROGRAM.match(text):
            yield Command(page, number, re.sub(r"\s+# .*$", "", text).removesuffix(" ..."))
        elif _ALMOST.search(text):
            yield Block(page, number, f"a command that nothing here knows: {text}", text)


def block_is_sound(block: Block) -> str | None:
    """What is wrong with a block; None if it can be read as what it says it is."""
    if block.language not in _LANGUAGES:
        return f"none of {', '.join(_LANGUAGES)}: commands are indented, or in a fence without a language"
    try:
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
    except (SyntaxError, tomllib.TOMLDecodeError) as error:
        return str(error)
    return None
