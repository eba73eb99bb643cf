"""Every example in a docstring of the package does what it shows."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import pipepita

PACKAGE = Path(pipepita.__file__).parent


def modules_with_examples(*, actors: bool) -> list[str]:
    """The dotted names of the modules of the package whose examples start actors, or of those whose do not."""
    texts = {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path, text in texts.items()
        if ">>> " in text and ("= pp.RayEngine(" in text) == actors
    ]


def show_what_happens(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", modules_with_examples(actors=False))
def test_examples_show_what_happens(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whatever an example writes
    show_what_happens(name)


@pytest.mark.parametrize("name", modules_with_examples(actors=True))
def test_examples_with_actors_show_what_happens(name, lent_engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    show_what_happens(name)
