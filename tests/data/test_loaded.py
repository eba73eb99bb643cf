"""Data sets of torch: equal bits to items in memory, whoever reads them, wherever a run begins."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from loading import Faulty, Noisy, drawn, pair, same, seed_all
from torch.utils.data import Dataset, IterableDataset, TensorDataset

import pipepita as pp
from pipepita.data.agenda import Agenda
from pipepita.data.loaded import Here
from pipepita.network.standardize import Standardize
from pipepita.runs.listeners import Listener
from pipepita.timeline.recorder import DATA

AGENDA = Agenda(train_items=50, test_items=20, batch_size=8, seed=3, epochs=2)
OPTIONS = {"engine": "local", "epochs": 2, "batch_size": 16}


@pytest.fixture
def noisy() -> pp.Data:
    return pp.Data.of(Noisy(50), Noisy(20), classes=10, name="noisy")


def epoch_of(data: pp.Data, agenda: Agenda, epoch: int, first: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    source, samples = data.items.train(agenda, epoch, first), []
    while (sample := source.take()) is not None:
        source.ahead()
        samples.append(sample)
    return samples


@pytest.mark.parametrize("options", [{}, {"schedule": "streaming", "window": 3, "augment": "crop:1,flip"}])
def test_the_same_bits_as_items_in_memory(few_digits, options):
    d = few_digits
    data = pp.Data.of(TensorDataset(d.x_train, d.y_train), TensorDataset(d.x_test, d.y_test), classes=10)
    results = [
        pp.train(pp.build("fc:24x2", d.item_shape, 10, dropout=0.1), one, standardize=True, **options, **OPTIONS)
        for one in (d, data)
    ]
    assert results[0].weights_sha256 == results[1].weights_sha256
    for name in ("train_loss", "test_loss", "test_accuracy"):
        assert [line[name] for line in results[0].history] == [line[name] for line in results[1].history]


def test_random_transforms_repeat_and_differ_between_epochs_and_seeds(noisy):
    first = epoch_of(noisy, AGENDA, 1)
    assert [len(y) for _, y in first] == [8] * 6 + [2]
    seed_all()
    assert same(first, epoch_of(noisy, AGENDA, 1))
    assert same(first[4:], epoch_of(noisy, AGENDA, 1, first=4))

    other = Agenda(50, 20, 8, seed=4)
    for more in (epoch_of(noisy, AGENDA, 2), epoch_of(noisy, other, 1)):
        assert not torch.equal(torch.cat([x for x, _ in first]), torch.cat([x for x, _ in more]))
    assert same(noisy.items.test(AGENDA, 1), noisy.items.test(AGENDA, 2))  # tests are the same after each epoch


def test_the_callers_generators_are_left_alone(noisy):
    seed_all()
    expected = drawn()
    seed_all()
    epoch_of(noisy, AGENDA, 1)
    assert drawn() == expected


def test_stopped_in_the_middle_of_an_epoch_and_resumed(noisy, tmp_path):
    options = {**OPTIONS, "snapshot_every": 1}
    whole = pp.train(pp.build("fc:8", (12,), 10), noisy, **options)
    asked = iter([False] * 2 + [True] * 100)
    run = tmp_path / "run"
    model = pp.build("fc:8", (12,), 10)
    assert pp.train(model, noisy, stop=lambda: next(asked), run_dir=run, **options).interrupted
    with pytest.raises(pp.UserError, match="is not what .* was trained on"):
        pp.resume(run, pp.Data.of(Noisy(49), Noisy(20), classes=10, name="noisy"))
    result = pp.resume(run, noisy)
    assert result.weights_sha256 == whole.weights_sha256
    assert pp.evaluate(run, noisy)["test_accuracy"] == result.test_accuracy


def test_actors_agree(ray_engine, noisy):
    options = {**OPTIONS, "schedule": "streaming", "window": 2}
    local, ray = (
        pp.train(pp.build("fc:8x2", (12,), 10, dropout=0.1), noisy, **{**options, "engine": engine})
        for engine in ("local", ray_engine)
    )
    assert local.weights_sha256 == ray.weights_sha256


def test_few_items_are_alive_at_once():
    alive, most = weakref.WeakSet(), []

    class Counted(Noisy):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            alive.add(x)
            most.append(len(alive))
            return x, y

    data = pp.Data.of(Counted(400), Counted(100), classes=10)
    pp.train(pp.build("fc:8", (12,), 10), data, standardize=True, **OPTIONS)
    gc.collect()
    assert len(most) > 1000 and max(most) <= 2 * 16


def test_figures_of_all_items_are_those_of_items_in_memory(few_digits):
    d = few_digits
    data = pp.Data.of(TensorDataset(d.x_train, d.y_train), TensorDataset(d.x_test, d.y_test), classes=10)
    figures, others = Standardize.of(data.items.blocks()), Standardize.of(d.x_train)
    assert torch.equal(figures.mean, others.mean) and torch.equal(figures.std, others.std)
    assert torch.equal(data.first(9, seed=1).items.some(9)[0], d.first(9, seed=1).x_train)


def test_what_needs_all_items_says_so(noisy):
    with pytest.raises(pp.UserError, match="noisy is not held in memory, and all of its items are needed here"):
        noisy.x_train  # noqa: B018


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (np.zeros(4), "is ndarray of shape (4,): it must be a pair (x, label)"),
        (pair(y=2), "has label 2: labels go from 0 to 1"),
        (pair(y=-1), "has label -1: labels go from 0 to 1"),
        (pair(y=0.5), "has label 0.5: it must be a whole number"),
        (pair(y=True), "has label True: it must be a whole number"),
        (pair(y=torch.tensor(1.0)), "has label 1.0: it must be a whole number"),
        (pair(np.zeros(5)), "has shape (5,): all items must have (4,)"),
        (pair(np.full(4, np.nan)), "holds a NaN or an infinite value"),
        (pair(torch.full((4,), torch.inf)), "holds a NaN or an infinite value"),
        (pair(np.full(4, 1e300)), "holds a NaN or an infinite value"),
        (pair(np.zeros(4, int)), "has an x that is ndarray of shape (4,): it must be floats, uint8 or booleans"),
        (pair(torch.zeros(4, dtype=torch.int32)), "has an x of torch.int32: it must be floats, uint8 or booleans"),
        (pair([[1.0], [1.0, 2.0]]), "has an x that cannot become a tensor: setting an array element"),
        (pair(np.zeros(4, np.longdouble)), "has an x that cannot become a tensor: "),
        (pair("cat"), "has an x that is str: it must be floats, uint8 or booleans"),
        (ValueError("no such\nfile"), "cannot be read: ValueError: no such"),
        (KeyError(), "cannot be read: KeyError"),
    ],
)
def test_a_wrong_item_is_named(item, words):
    data = pp.Data.of(Faulty(item), Faulty(pair()), classes=2, name="own")
    with pytest.raises(pp.RunError) as found:
        pp.train(pp.build("fc:8", (4,), 2), data, **OPTIONS)
    assert str(found.value).startswith(f"own: train[7] {words}")
    assert "\n" not in str(found.value)
    with pytest.raises(pp.RunError) as found:
        pp.train(pp.build("fc:8", (4,), 2), pp.Data.of(Faulty(pair()), Faulty(item), classes=2, name="own"), **OPTIONS)
    assert str(found.value).startswith(f"own: test[7] {words}")


class Lengthless(Dataset):
    def __getitem__(self, index):
        return pair()


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[object]:
        yield pair()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": Stream()}, "own: train is Stream: it must be a map-style data set"),
        ({"train": Lengthless()}, "own: train is Lengthless: it must be a map-style data set"),
        ({"test": 3}, "own: test is int: it must be a map-style data set"),
        ({"test": []}, "own: test is empty"),
        ({"train": [("cat", 0)]}, r"own: train\[0\] has an x that is str"),
        ({"test": [pair(np.zeros(3))]}, r"own: test\[0\] has shape \(3,\): all items must have \(4,\)"),
        ({"train": [pair(y=3)]}, r"own: train\[0\] has label 3: labels go from 0 to 1"),
        ({"classes": None}, "own: say how many classes there are, classes=...: train has no list `classes`"),
        ({"classes": 1}, "own: classes is 1: it must be a whole number of at least 2"),
        ({"classes": "2"}, "own: classes is '2'"),
    ],
)
def test_what_is_no_data_set_is_refused_at_once(change, words):
    arguments = {"train": Faulty(pair()), "test": Faulty(pair()), "classes": 2, "name": "own", **change}
    with pytest.raises(pp.UserError, match=words):
        pp.Data.of(**arguments)


def test_uint8_booleans_and_doubles_become_float32_as_in_memory():
    items = [
        (np.array([0, 51, 255], np.uint8), 0), (torch.tensor([True, False, True]), np.int64(1)),
        (np.array([1, 2, 3], ">f8")[::-1], torch.tensor(0)),
    ]  # fmt: skip
    x, y = pp.Data.of(items, items, classes=2).items.some(3)
    assert x.tolist() == [[0, torch.tensor(51 / 255).item(), 1], [1, 0, 1], [3, 2, 1]]
    assert (x.dtype, y.tolist()) == (torch.float32, [0, 1, 0])


def test_the_timeline_shows_the_wait_for_data(noisy, monkeypatch, tmp_path):
    times = []

    class Timed(Here):
        def sample(self, agenda, position):
            if position < 4:  # of the first epoch's training items
                times.append(time.perf_counter_ns())
            return super().sample(agenda, position)

    class Seen(Listener):
        def recorded(self, timeline):
            self.rows = timeline.coordinator.of(DATA)

    seen = Seen()
    monkeypatch.setattr(noisy.items, "_feed", Timed(noisy.items._reader))
    monkeypatch.setattr("pipepita.runs.place._RECORDED_SAMPLES", 100)
    options = OPTIONS | {"trace": tmp_path / "trace.json", "observer": seen}
    pp.train(pp.build("fc:8", (12,), 10), noisy, loader_workers=0, **options)
    rows = seen.rows
    assert list(rows["step"]) == list(range(8))
    assert len(times) == 4
    for row, at in zip(rows, times, strict=False):
        assert row["begin"] <= at <= row["end"]


def test_items_read_as_needed_are_held_out_like_those_in_memory(digits):
    data = pp.Data.of(
        TensorDataset(digits.x_train, digits.y_train), TensorDataset(digits.x_test, digits.y_test), classes=10
    )
    read, held = data.validating(0.1), digits.validating(0.1)
    assert (read.items.train_items, read.items.test_items) == (held.items.train_items, held.items.test_items)
    assert torch.equal(read.items.some(20)[0], held.x_train[:20])
    agenda = Agenda(read.items.train_items, read.items.test_items, batch_size=50, seed=0)
    x, y = next(read.items.test(agenda, 1))
    assert torch.equal(x, held.x_test[:50]) and torch.equal(y, held.y_test[:50])
