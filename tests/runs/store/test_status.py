"""What a run writes about itself while it goes on, and how that is read back."""

from __future__ import annotations

import itertools
import json

import pytest

import pipepita as pp
from pipepita.errors import ChannelClosed
from pipepita.network import spec
from pipepita.pipeline.pulse import Pulse
from pipepita.pipeline.tally import Tally
from pipepita.runs.progress import Progress
from pipepita.runs.restart import Restart
from pipepita.runs.store.status import RunStatus, StatusListener, read_status


class Sink:
    """Keeps every status that it is shown."""

    def __init__(self):
        self.statuses = []

    def show(self, status):
        self.statuses.append(status)


def pulse(step):
    return Pulse(pid=7, step=step, queue=1, busy=0.25, memory=1_000_000)


def status_of(few_digits, sink, *said):
    """The status of a run of two stages and three epochs of five samples. said: the pulses of both, each time."""
    stages = []

    class Engine(pp.LocalEngine):
        def open(self, plan):
            stages.extend(plan.stages)
            return super().open(plan)

    pp.train(spec.build("fc:8", few_digits.item_shape, 10), few_digits, engine=Engine(), stages=2, epochs=1)
    status = StatusListener(3, 5, Progress())
    status.add(sink)
    pulses = iter(said)
    status.watch(stages, lambda: next(pulses))
    return status


def test_from_the_first_to_the_last(few_digits):
    listener = Sink()
    status = status_of(few_digits, listener, [pulse(4), None])
    first, staged = listener.statuses
    assert (first.state, first.stages, first.step, first.eta) == ("starting", [], 0, None)
    assert [(row.layers, row.alive) for row in staged.stages] == [([1], None), ([2], None)]
    status.epoch_begins(1, Tally())
    status.evaluates(Tally(items=10, steps=5, completed=[1.0, 1.5, 2.0]))
    begun, evaluating = listener.statuses[2:]
    assert (begun.state, begun.loss, begun.accuracy) == ("training", None, None)
    assert (evaluating.state, evaluating.step, evaluating.samples_per_second, evaluating.eta) == ("evaluating", 5, 2, 5)
    assert [(row.alive, row.step) for row in evaluating.stages] == [(True, 4), (None, None)]
    status.finished("failed", "it broke")
    assert (listener.statuses[-1].state, listener.statuses[-1].error) == ("failed", "it broke")


def test_a_lost_stage(few_digits):
    listener = Sink()
    status = status_of(few_digits, listener, [pulse(4), pulse(4)])
    status.epoch_begins(1, Tally())
    status.sample(Tally(items=10, steps=5))
    assert [row.alive for row in listener.statuses[-1].stages] == [True, True]
    status.lost(pp.StageDied("stage 1 died", 1))
    status.lost(ChannelClosed("another fault on the way"))
    assert listener.statuses[-1].state == "restarting"
    assert [row.alive for row in listener.statuses[-1].stages] == [True, False]
    status.restarted(Restart(2, 3, "stage 1 died", (1,), 0.5))
    last = listener.statuses[-1]
    assert (last.state, last.restarts, [row.alive for row in last.stages]) == ("training", 2, [None, None])


def test_a_stage_that_no_longer_answers(few_digits, monkeypatch):
    monkeypatch.setattr("pipepita.runs.store.status.SECONDS", 0)
    listener = Sink()
    status = status_of(few_digits, listener, [None, pulse(1)], [None, None])
    for _ in range(2):
        status.sample(Tally(items=10, steps=5))
    assert [row.alive for row in listener.statuses[-1].stages] == [None, False]
    assert listener.statuses[-1].stages[1].memory == 1_000_000


def test_at_most_one_status_per_second(few_digits):
    listener = Sink()
    status = status_of(few_digits, listener, [pulse(1), pulse(1)])
    before = len(listener.statuses)
    for _ in range(100):
        status.sample(Tally(items=10, steps=5))
    assert len(listener.statuses) == before + 1


def test_the_last_status_says_how_the_run_ended(few_digits, tmp_path):
    """Well, stopped, or with an error."""
    net = spec.build("fc:16", few_digits.item_shape, 10)
    counted = itertools.count()
    pp.train(net, few_digits, engine="local", epochs=2, run_dir=tmp_path / "whole")
    pp.train(net, few_digits, engine="local", epochs=2, run_dir=tmp_path / "part", stop=lambda: next(counted) > 1)
    with pytest.raises(pp.Diverged) as failed:
        pp.train(net, few_digits, engine="local", lr=1e30, run_dir=tmp_path / "none")
    whole, part, none = (read_status(tmp_path / name) for name in ("whole", "part", "none"))
    assert (whole.state, whole.epoch, whole.sample, whole.step) == ("done", 2, 3, 6)
    (row,) = whole.stages
    assert (row.layers, row.alive, row.step) == ([1, 2], True, 6)
    assert (part.state, part.epoch) == ("interrupted", 1)
    assert (none.state, none.error) == ("failed", str(failed.value))
    pp.resume(tmp_path / "part", few_digits)
    assert read_status(tmp_path / "part").state == "done"
    pp.resume(tmp_path / "whole", few_digits)
    assert read_status(tmp_path / "whole").step == 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "holds list"),
        ('{"state": "done"}', "does not hold a run's status: time: field required"),
        ('{"state": "asleep"}', "state: input should be 'starting'"),
        ("\x00\xff", "cannot be read"),
    ],
)
def test_damaged(tmp_path, content, words):
    (tmp_path / "status.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(pp.UserError, match=words):
        read_status(tmp_path)


def test_figures_that_are_none(tmp_path):
    assert read_status(tmp_path) is None
    whole = RunStatus(state="done", time=1.0, pid=1, epoch=1, epochs=1, sample=1, samples=1)
    text = json.dumps(whole.model_dump())
    (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path) == whole
    (tmp_path / "status.json").write_text(text.replace('"time": 1.0', '"time": NaN'))
    with pytest.raises(pp.UserError, match="time: input should be a finite number"):
        read_status(tmp_path)
