"""Fixtures that the tests of runs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pipepita as pp


@pytest.fixture(scope="module")
def engine(cluster) -> Iterator[pp.RayEngine]:
    """Actors for three stages. Those that a test kills are replaced in the next test."""
    engine = pp.RayEngine(3, device="cpu")
    yield engine
    engine.close()
