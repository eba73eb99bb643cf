"""What the tests share: real data, Ray clusters, and which tests go together."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from covering import cross, pairwise

import pipepita as pp
from pipepita.data.sets import DATA_DIR_VARIABLE
from pipepita.engines.ray.cluster import Cluster

_CLUSTERED = ("ray_engine", "cluster")  # fixtures that start Ray
_SEPARATE = ("ray/test_hosts.py",)  # files whose tests share nothing, and wait for minutes
_engine: list[pp.RayEngine] = []  # of the tests that use `ray_engine` one after the other


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="full crosses, not only every pair of values")


def pytest_configure() -> None:
    """Lets processes answer SIGINT, even if the tests were started with SIGINT ignored, as nohup does."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`@pytest.mark.crossed(factors, allowed=...)`: the cases of `covering.pairwise`, or with --all of `cross`.

    fewer: factors that have fewer values without --all.
    """
    for mark in metafunc.definition.iter_markers("crossed"):
        options = dict(mark.kwargs)
        factors, fewer = mark.args[0], options.pop("fewer", {})
        if metafunc.config.getoption("--all"):
            cases = cross(factors, **options)
        else:
            cases = pairwise(factors | fewer, **options)
        metafunc.parametrize(list(factors), cases)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests run one after the other, on one worker, and so do all files that use the one `ray_engine`.

    (Not by xdist's groups, which pytest 9 does not let it note in a test's name.)
    """
    from xdist.scheduler import LoadScopeScheduling

    @cache
    def scope(file: str) -> str:
        return "ray_engine" if "ray_engine" in (config.rootpath / file).read_text() else file

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return nodeid if file.endswith(_SEPARATE) else scope(file)

    return Scheduling(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks every test that starts Ray as slow."""
    if any(name in getattr(item, "fixturenames", ()) for name in _CLUSTERED):
        item.add_marker("slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts what takes long first, so that no worker waits for it in the end; leaves the `rest` to --all."""
    if not config.getoption("--all"):
        rest = [item for item in items if item.get_closest_marker("rest")]
        config.hook.pytest_deselected(items=rest)
        items[:] = [item for item in items if item not in rest]
    slow = {item.path for item in items if item.get_closest_marker("slow")}  # files, whose tests stay in their order
    items.sort(key=lambda item: (item.get_closest_marker("long") is None, item.path not in slow))


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Closes the engine of `ray_engine` if the next file does not use it: most files start Ray for themselves."""
    others = nextitem is None or nextitem.path != item.path
    if _engine and others and "ray_engine" not in getattr(nextitem, "fixturenames", ()):
        _engine.pop().close()


@pytest.fixture(scope="session")
def every_case(pytestconfig) -> bool:
    """Whether all combinations are asked for, by --all."""
    return pytestconfig.getoption("--all")


@pytest.fixture(scope="session")
def digits() -> pp.Data:
    return pp.load("digits")


@pytest.fixture(scope="session")
def few_digits(digits: pp.Data) -> pp.Data:
    """The digits with 150 training items: with batches of 32 the last one is short."""
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
def ray_engine() -> pp.RayEngine:
    """Actors for up to three stages, on an embedded cluster. The next file that asks for them gets the same ones."""
    if not _engine:
        _engine.append(pp.RayEngine(3, device="cpu"))
    _engine[0].transport = None
    return _engine[0]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """An embedded cluster with room for three stages, but without actors."""
    cluster = Cluster(None, 3, 0)
    yield cluster
    cluster.close()


@pytest.fixture(autouse=True)
def _threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before, "a test left another number of threads behind"


@pytest.fixture
def places(tmp_path) -> dict[str, str]:
    """An empty TMPDIR, short enough for Ray's sockets, to see what a run leaves behind."""
    folder = Path(tempfile.mkdtemp(prefix="ppc", dir="/tmp"))
    yield {"TMPDIR": str(folder)}
    left = list(folder.rglob("*"))
    shutil.rmtree(folder)
    assert not left
