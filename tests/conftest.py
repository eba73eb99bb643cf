"""What the tests share: real data, Ray clusters, and which tests go together."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from covering import cross, pairwise

import pipepita as pp

_ENGINES = ("ray_engine", "killable_engine")  # fixtures: actors that many tests use, one after the other
_SEPARATE = ("ray/test_hosts.py",)  # files whose tests share nothing, and wait for minutes
_open: dict[str, pp.RayEngine] = {}  # of `_ENGINES`, the one that is open in this process


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
    """A file's tests run one after the other, on one worker, and so do all tests that share an engine.

    (Not by xdist's groups, which pytest 9 does not let it note in a test's name.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, name = nodeid.split("::")[:2]
            path = config.rootpath / file
            shared = [engine for engine in _ENGINES if name.split("[")[0] in _users(path, engine)]
            return nodeid if file.endswith(_SEPARATE) else "".join(shared) or file

    return Scheduling(config, log)


@cache
def _users(path: Path, fixture: str) -> frozenset[str]:
    """The tests and fixtures of a file that use a fixture, directly or through other fixtures, of the file or here."""
    files = [file for file in (path, Path(__file__)) if file.suffix == ".py"]
    trees = [ast.parse(file.read_text()) for file in files]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    users = {fixture}
    while more := {
        one.name for one in functions if one.name not in users and users & {argument.arg for argument in one.args.args}
    }:
        users |= more
    return frozenset(users)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks every test that starts Ray as slow."""
    if any(name in getattr(item, "fixturenames", ()) for name in _ENGINES):
        item.add_marker("slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts what takes long first, so that no worker waits for it in the end; leaves the `rest` to --all."""
    if not config.getoption("--all"):
        rest = [item for item in items if item.get_closest_marker("rest")]
        config.hook.pytest_deselected(items=rest)
        items[:] = [item for item in items if item not in rest]
    slow = {item.path for item in items if item.get_closest_marker("slow")}  # files, whose tests stay in their order
    items.sort(key=lambda item: (item.get_closest_marker("long") is None, item.path not in slow))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Closes the open engine if the next test is of another file and does not use it, but may start Ray for itself."""
    others = nextitem is None or nextitem.path != item.path
    if others and not _open.keys() & set(getattr(nextitem, "fixturenames", ())):
        _close()


def _close() -> None:
    while _open:
        _open.popitem()[1].close()


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
    from pipepita.data.sets import DATA_DIR_VARIABLE

    folder = os.environ.get(DATA_DIR_VARIABLE)
    if not folder:
        pytest.skip(f"needs real data sets: set {DATA_DIR_VARIABLE} to a folder in torchvision's layout")
    return Path(folder)


@pytest.fixture(scope="session")
def mnist(data_dir: Path) -> pp.Data:
    return pp.load("mnist", data_dir=data_dir)


def _engine(name: str) -> pp.RayEngine:
    if name not in _open:
        _close()  # a process has one connection to Ray
        _open[name] = pp.RayEngine(3, device="cpu")
    _open[name].transport = None
    return _open[name]


@pytest.fixture(scope="module")
def ray_engine() -> pp.RayEngine:
    """Actors for up to three stages, on an embedded cluster. The next test that asks for them gets the same ones."""
    return _engine("ray_engine")


@pytest.fixture(scope="module")
def killable_engine() -> pp.RayEngine:
    """The same for tests that kill actors, which the next run replaces."""
    return _engine("killable_engine")


@pytest.fixture
def lent_engine(ray_engine: pp.RayEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a `RayEngine` during the test gets the actors of `ray_engine`: none has to start."""

    def borrow(self: pp.RayEngine, stages: int, *, transport: str | None = None, **options: object) -> None:
        if options.get("address") is not None or stages > ray_engine.stages:
            raise pp.UserError("only three actors of the embedded cluster are lent")
        self.__dict__.update(ray_engine.__dict__ | {"stages": stages, "transport": transport})

    monkeypatch.setattr(pp.RayEngine, "__init__", borrow)
    monkeypatch.setattr(pp.RayEngine, "close", lambda self: None)


@pytest.fixture(autouse=True)
def _threads_restored() -> Iterator[None]:
    import torch  # not above: the process that only hands out tests would wait for it

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
