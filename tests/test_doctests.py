"""Every example in a docstring of the package does what it shows."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from typing import Any

import pytest

import pipepita

PACKAGE = Path(pipepita.__file__).parent


def modules_with_examples() -> list[Any]:
    """The dotted names of all modules of the package whose source holds `>>>`. Some start a cluster."""
    texts = {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    return [
        pytest.param(
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts),
            marks=[pytest.mark.slow] * ("= pp.RayEngine(" in text),
        )
        for path, text in texts.items()
        if ">>> " in text
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_show_what_happens(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whatever an example writes
    result = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert result.attempted > 0
    assert result.failed == 0
