"""What the tests share: real data, small networks, one Ray cluster a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from covering import cross, pairwise

import pipepita as pp
from pipepita.data.sets import DATA_DIR_VARIABLE


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="full crosses, not only every pair of values")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`@pytest.mark.crossed(factors, allowed=...)`: the cases of `covering.pairwise`, or with --all of `cross`."""
    for mark in metafunc.definition.iter_markers("crossed"):
        chosen = cross if metafunc.config.getoption("--all") else pairwise
        metafunc.parametrize(list(mark.args[0]), chosen(*mark.args, **mark.kwargs))


@pytest.fixture(scope="session")
def digits() -> pp.Data:
    return pp.load("digits")


@pytest.fixture(scope="session")
def few_digits(digits: pp.Data) -> pp.Data:
    """150 training items: with batches of 32 the last one is short."""
    return pp.Data(digits.x_train[:150], digits.y_train[:150], digits.x_test[:40], digits.y_test[:40], 10, "few digits")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    folder = os.environ.get(DATA_DIR_VARIABLE)
    if not folder:
        pytest.skip(f"needs real data sets: set {DATA_DIR_VARIABLE} to a folder in torchvision's layout")
    return Path(folder)


@pytest.fixture(scope="session")
def mnist(data_dir: Path) -> pp.Data:
    return pp.load("mnist", data_dir=data_dir)


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[pp.RayEngine]:
    """Actors for up to three stages, on an embedded cluster."""
    engine = pp.RayEngine(3, device="cpu")
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def _threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before, "a test left another number of threads behind"


@pytest.fixture
def places(tmp_path) -> dict[str, str]:
    """An empty TMPDIR, short enough for Ray's sockets, to see what a run leaves behind."""
    folder = Path("/tmp") / f"ppc{os.getpid()}"
    folder.mkdir()
    yield {"TMPDIR": str(folder)}
    left = list(folder.rglob("*"))
    folder.rmdir()
    assert not left
