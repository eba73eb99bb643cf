"""Worker processes that read items ahead of need: the same bits, a few samples ahead, and nothing left behind."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest
import torch
from loading import Faulty, Noisy, drawn, pair, same, seed_all, workers_of

import pipepita as pp
from pipepita.data.agenda import Agenda
from pipepita.data.loaded import Here
from pipepita.data.workers import _AHEAD, _READY, Workers

AGENDA = Agenda(train_items=50, test_items=20, batch_size=8, seed=3, epochs=2)
OPTIONS = {"engine": "local", "epochs": 2, "batch_size": 16}


@pytest.fixture
def noisy() -> pp.Data:
    return pp.Data.of(Noisy(50), Noisy(20), classes=10, name="noisy")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture(scope="module")
def feed(log) -> Iterator[Workers]:
    """Two workers that read from `Noisy`."""
    reader = pp.Data.of(Noisy(50, log), Noisy(20), classes=10).items._reader
    log.write_text("")
    seed_all()
    expected = drawn()
    seed_all()
    feed = Workers(reader, 2, 8)
    feed.sample(AGENDA, 0)
    assert drawn() == expected
    yield feed
    feed.close()
    assert not workers_of()


@pytest.mark.slow
def test_workers_read_a_few_samples_ahead(feed, log):
    agenda = Agenda(50, 20, 2, seed=0)
    feed.ahead(agenda, 0)
    deadline = time.monotonic() + 60
    while len(feed._ready) < _READY:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before = len(log.read_text())
    feed.sample(agenda, 0)  # one is taken, so one more is read
    while len(log.read_text()) < before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    assert len(log.read_text()) <= before + 2 * (1 + 2 * _AHEAD)


@pytest.mark.slow
def test_workers_give_the_same_from_any_position(feed, noisy):
    here, long = Here(noisy.items._reader), Agenda(50, 20, 1, seed=3, epochs=3, augment=None)
    for position in [*range(len(AGENDA)), 3, 4, 5, 0, len(AGENDA) - 1, 6, 7]:
        assert same([feed.sample(AGENDA, position)], [here.sample(AGENDA, position)])
    for position in [*range(len(long)), 5, 6, 100]:  # more samples than slots, many times over
        assert same([feed.sample(long, position)], [here.sample(long, position)])


@pytest.mark.slow
def test_a_run_with_workers_leaves_nothing_behind(noisy):
    options = {**OPTIONS, "snapshot_every": 2, "standardize": True}
    whole = pp.train(pp.build("fc:8", (12,), 10), noisy, loader_workers=0, **options)
    before, handler = set(workers_of()), signal.getsignal(signal.SIGCHLD)
    result = pp.train(pp.build("fc:8", (12,), 10), noisy, loader_workers=1, **options)
    assert result.weights_sha256 == whole.weights_sha256
    assert set(workers_of()) == before
    assert signal.getsignal(signal.SIGCHLD) is handler


@pytest.mark.slow
@pytest.mark.parametrize(
    ("item", "words"),
    [
        (pair(y=2), r"own: train\[7\] has label 2: labels go from 0 to 1 \(epoch 1; no checkpoint was kept\)"),
        (signal.SIGKILL, r"own: a worker process that reads items was ended by SIGKILL \(out of memory\?\) \(epoch 1"),
    ],
)
def test_a_worker_that_fails_ends_the_run_in_one_line(item, words):
    before = set(workers_of())
    data = pp.Data.of(Faulty(item), Faulty(pair()), classes=2, name="own")
    with pytest.raises(pp.RunError, match=words):
        pp.train(pp.build("fc:8", (4,), 2), data, loader_workers=1, **OPTIONS)
    assert set(workers_of()) == before


def test_what_cannot_be_sent_to_workers_is_refused():
    train = Noisy()
    train.lock = threading.Lock()
    data = pp.Data.of(train, Noisy(), classes=10, name="own")
    with pytest.raises(
        pp.UserError, match=r"own cannot be sent to worker processes \(cannot pickle .*\): use loader_wo"
    ):
        pp.train(pp.build("fc:8", (12,), 10), data, loader_workers=1, **OPTIONS)


def test_shared_memory_that_is_short_is_said_in_one_line(noisy, monkeypatch):
    def full(tensor):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2>: Resource unavailable")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    words = "noisy: to read ahead needs .* MiB of shared memory, which /dev/shm has no room for"
    with pytest.raises(pp.RunError, match=words), noisy.open(1, 8):
        pass
