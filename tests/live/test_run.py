"""Whole runs, whose items come one by one. Another engine repeats the order that was decided, to the same bits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from faults import kill

import pipepita as pp
from pipepita.errors import RunError
from pipepita.live import run as module
from pipepita.live.beginning import Beginning, Desk, Net
from pipepita.live.counts import Counts
from pipepita.live.inbox import Inbox
from pipepita.live.items import Given, Parser
from pipepita.live.past import Past
from pipepita.live.record import Record
from pipepita.live.run import Online
from pipepita.live.source import Lines, reader
from pipepita.runs.display import Observer
from pipepita.runs.options.job import Options
from pipepita.runs.options.settled import settle
from pipepita.runs.place import Where
from pipepita.runs.store.folder import RunFolder, last_checkpoint
from pipepita.streams import ClassPrequential


class Items:
    """A source of the digits. at: called with the number of each before it is put into the inbox."""

    def __init__(self, data: pp.Data, count: int, at=lambda number: None) -> None:
        self._data, self._count, self._at = data, count, at

    def feed(self, inbox):
        for number in range(self._count):
            self._at(number)
            x, y = self._data.x_train[number % 150], int(self._data.y_train[number % 150])
            if number % 3 == 0:  # its label comes one item later
                inbox.put(Given(f"late {number}", x, None))
            else:
                inbox.put(Given(number, x, y))
            if number % 3 == 1:
                inbox.put(Given(f"late {number - 1}", None, int(self._data.y_train[(number - 1) % 150])))

    def close(self):
        pass


def online(data: pp.Data, engine, folder: Path | None = None, stop=lambda: False, **options) -> tuple[Online, list]:
    model = pp.build("fc:24x2", data.item_shape, 10, normal=True)
    pp.initialise(model, 0)
    settings = Options(**{
        "batch_size": 1, "schedule": "adaptive", "window": 3, "lr": 0.01, "snapshot_every": 20, "run_dir": folder,
        "checkpoint_every": 0, **options,
    })  # fmt: skip
    rule, predictions = pp.Pepita(), []
    settled = settle(model, data.item_shape, 10, rule, settings)
    desk = Desk(Inbox(8, "block"), Counts(ClassPrequential()), predictions.extend)
    net = Net(model, data.item_shape, 10, rule)
    return Online(net, settled, Where(engine), desk, Observer(), stop), predictions


def run(one: Online, source, folder: Path | None = None, decided: Sequence[bool] = ()) -> dict:
    return one.run(source, None if folder is None else RunFolder(folder), {}, Beginning(decided=decided))


def order(folder: Path) -> list[bool]:
    return [bit == "1" for bit in (folder / "order.txt").read_text()]


def same(one: list, other: list) -> bool:
    """Whether these are the same predictions, each once, with the same probabilities. Those of late labels may differ.

    When an item without a label is predicted depends on when it arrives.
    """
    mine, theirs = ({p.id: p for p in all_of_them} for all_of_them in (one, other))
    assert len(mine) == len(one) == len(theirs) == len(other) and mine.keys() == theirs.keys()
    return all(
        torch.equal(mine[name].probabilities, theirs[name].probabilities) for name in mine if isinstance(name, int)
    )


def test_each_item_is_predicted_and_learnt_from_once(few_digits, tmp_path):
    one, predictions = online(few_digits, "local", tmp_path / "run")
    summary = run(one, Items(few_digits, 120), tmp_path / "run")
    assert summary["items"] == summary["learnt"] == summary["steps"] == 120
    assert sorted(map(str, (p.id for p in predictions))) == sorted(str(n) if n % 3 else f"late {n}" for n in range(120))
    assert summary["odd"] == summary["refused"] == {} and summary["dropped"] == 0
    decided = order(tmp_path / "run")
    assert sum(decided) == len(decided) / 2 == 120
    checkpoint, _ = last_checkpoint(tmp_path / "run", resumable=True)
    assert checkpoint.about["weights_sha256"] == summary["weights_sha256"]
    again, others = online(few_digits, "local", stages=3)
    assert run(again, Items(few_digits, 120), decided=decided)["weights_sha256"] == summary["weights_sha256"]
    assert same(predictions, others)


def test_an_order_is_repeated_whenever_snapshots_are_taken(few_digits, tmp_path):
    """To take one, the pipeline must be empty. So it waits until the order lets it be."""
    decided = [True, True, *[False, True] * 58, False, False]
    digests = []
    for every in (7, 20, 1000):
        one, _ = online(few_digits, "local", tmp_path / str(every), stages=2, snapshot_every=every)
        digests.append(run(one, Items(few_digits, 60), tmp_path / str(every), decided)["weights_sha256"])
        assert order(tmp_path / str(every)) == decided
    assert len(set(digests)) == 1


def test_a_stage_that_is_killed_costs_no_item(killable_engine, few_digits, tmp_path):
    killable_engine.repair()  # a test before may have left a dead one
    one, predictions = online(few_digits, killable_engine, tmp_path / "run", stages=3)
    source = Items(few_digits, 150, lambda number: kill(killable_engine, 1) if number == 70 else None)
    summary = run(one, source, tmp_path / "run")
    assert summary["restarts"] == 1 and summary["items"] == summary["learnt"] == 150
    local, others = online(few_digits, "local")
    decided = order(tmp_path / "run")
    assert run(local, Items(few_digits, 150), decided=decided)["weights_sha256"] == summary["weights_sha256"]
    assert same(predictions, others)


def test_an_item_is_answered_although_only_lines_of_no_use_follow(few_digits, tmp_path):
    class Waiting(Items):
        def feed(self, inbox):
            inbox.put(Given(0, self._data.x_train[0], 3))
            while not predictions:  # a test that fails, hangs here
                inbox.put(Given("nobody's", None, 3))

    one, predictions = online(few_digits, "local", tmp_path / "run", stages=2)
    assert run(one, Waiting(few_digits, 1), tmp_path / "run")["learnt"] == len(predictions) == 1


def test_lines_of_no_use_do_not_pile_up(few_digits, tmp_path, monkeypatch):
    """A checkpoint lets the journal begin anew, although nothing was learnt since the one before."""
    monkeypatch.setattr(module, "_MOST_LINES", 50)
    groups = [b"nonsense\n" * 40] * 10 + [b""]
    source = Lines(lambda size: groups.pop(0), lambda place, error: None)
    one, predictions = online(few_digits, "local", tmp_path / "run", checkpoint_every=1e6)
    one._desk = replace(
        one._desk, record=Record(io.StringIO(), source, Past(), 1), read=reader(Parser((1, 8, 8), 10), lambda *_: None)
    )
    assert run(one, source, tmp_path / "run")["steps"] == 0 and predictions == []
    (last,) = (tmp_path / "run" / "journal").iterdir()
    assert last.name == f"{400:012d}" and last.stat().st_size == 0


def test_a_source_that_fails_ends_the_run_with_a_checkpoint(few_digits, tmp_path):
    def at(number):
        if number == 50:
            raise RunError("the sensor is on fire")

    one, predictions = online(few_digits, "local", tmp_path / "run")
    with pytest.raises(RunError, match=r"the sensor is on fire \(the last good checkpoint is .*step-00000050\)"):
        run(one, Items(few_digits, 90, at), tmp_path / "run")
    assert len(predictions) == 50


def test_stopping_learns_from_what_has_arrived(few_digits, tmp_path):
    asked = []
    one, predictions = online(few_digits, "local", tmp_path / "run", stop=lambda: bool(asked))
    summary = run(one, Items(few_digits, 10_000, lambda n: asked.append(n) if n == 60 else None), tmp_path / "run")
    assert 60 <= summary["items"] <= 80 and len(predictions) == summary["items"]
    assert (tmp_path / "run" / "result.json").is_file()
