"""Exactly-once learning on a real cluster: stages are killed, frozen and cut off, and the bits stay what they were."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import ray
import torch

import pipepita as pp
from pipepita.engines.ray import monitor
from pipepita.engines.ray.cluster import Cluster
from pipepita.engines.ray.pipeline import RayPipeline
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.source import Kept, Stored
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.runs.display import Observer
from pipepita.runs.listeners import Listener
from pipepita.runs.recovery import Guarded, follow
from pipepita.schedule import streaming

OPTIONS = {"epochs": 4, "batch_size": 8, "schedule": "streaming", "window": 3, "snapshot_every": 5, "lr": 0.02}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(None, 3, 0)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def engine(cluster) -> Iterator[pp.RayEngine]:
    """Actors for three stages; those that a test kills are replaced in the next one's."""
    engine = pp.RayEngine(3, device="cpu")
    yield engine
    engine.close()


def model(data: pp.Data):
    return pp.build("fc:24x2", data.item_shape, 10, dropout=0.1)


class Log(Observer):
    """Calls `at` with each sample's number in the run; keeps what it is warned of."""

    def __init__(self, at: Callable[[int], None] = lambda sample: None) -> None:
        self.warnings: list[str] = []
        self._at, self._past, self._seen = at, 0, -1

    def sample(self, tally):
        number = self._past + tally.steps
        if number > self._seen:  # once, though samples come again
            self._seen = number
            self._at(number)

    def epoch_ends(self, line):
        self._past = line["step"]

    def warn(self, text):
        self.warnings.append(text)


def kill(engine: pp.RayEngine, stage: int, number: int = signal.SIGKILL) -> None:
    os.kill(ray.get(engine._actors[stage].pulse.remote(), timeout=60).pid, number)


RULES = {
    "pepita": pp.Pepita(),
    "stash, all": pp.Pepita(form="stash", modulate="all"),
    "mirror": pp.Pepita(mirror=5, modulate="all"),
    "bp": pp.Backprop(),
    "frsf, strict": pp.FixedSigns(strict=True),
    "drtp": pp.TargetProjection(),
}


@pytest.mark.parametrize(
    ("rule", "victim"),
    [("pepita", 0), ("pepita", 1), *((rule, number % 3) for number, rule in enumerate(RULES, start=2))],
)
def test_a_killed_stage_changes_no_bit(engine, few_digits, tmp_path, rule, victim):
    """Whatever it was doing: the kill comes in the middle of an epoch, and again later."""
    rule = RULES[rule]
    whole = pp.train(model(few_digits), few_digits, engine="local", rule=rule, **OPTIONS)
    log = Log(lambda sample: kill(engine, victim) if sample in (13, 60) else None)
    result = pp.train(
        model(few_digits), few_digits, engine=engine, rule=rule, observer=log, run_dir=tmp_path / "run", **OPTIONS
    )
    assert result.weights_sha256 == whole.weights_sha256
    assert result.restarts == 2
    for mine, theirs in zip(result.history, whole.history, strict=True):
        assert (mine["train_loss"], mine["train_accuracy"]) == (theirs["train_loss"], theirs["train_accuracy"])
    assert len(log.warnings) == 2
    assert f"stage {victim} (layer {victim + 1}) died" in log.warnings[0]
    assert f"stage {victim} anew, all back at the last snapshot after" in log.warnings[0]
    events = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    assert len(events) == 2
    assert '"cause": "stage' in events[0]


PHASES = ["_connect", "train", "join", "state", "load", "non_finite", "evaluate", "align"]


@pytest.mark.parametrize("phase", PHASES)
def test_it_does_not_matter_when(engine, few_digits, monkeypatch, phase):
    """A kill as the pipeline is wired, at a barrier, during a snapshot, as one is loaded, before an evaluation."""
    rule = pp.Pepita(mirror=5, modulate="all")
    whole = pp.train(model(few_digits), few_digits, engine="local", rule=rule, **OPTIONS)
    method, calls = getattr(RayPipeline, phase), []

    def called(self, *arguments):
        calls.append(phase)
        if len(calls) == (1 if phase in ("_connect", "load") else 4):
            kill(engine, 1)
        return method(self, *arguments)

    monkeypatch.setattr(RayPipeline, phase, called)
    at = (lambda sample: kill(engine, 0) if sample == 13 else None) if phase == "load" else lambda sample: None
    result = pp.train(model(few_digits), few_digits, engine=engine, rule=rule, observer=Log(at), **OPTIONS)
    assert result.weights_sha256 == whole.weights_sha256
    assert result.restarts == (2 if phase == "load" else 1)


def test_all_stages_at_once(engine, few_digits):
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    log = Log(lambda sample: [kill(engine, stage) for stage in range(3)] if sample == 22 else None)
    result = pp.train(model(few_digits), few_digits, engine=engine, observer=log, **OPTIONS)
    assert (result.weights_sha256, result.restarts) == (whole.weights_sha256, 1)
    assert "stage 0, 1, 2 anew" in log.warnings[0]


def test_a_frozen_stage_is_as_good_as_dead(engine, few_digits, monkeypatch):
    """A process that hangs closes nothing; its heartbeat stops."""
    monkeypatch.setattr(monitor, "SILENCE_SECONDS", 3.0)
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    log = Log(lambda sample: kill(engine, 1, signal.SIGSTOP) if sample == 22 else None)
    result = pp.train(model(few_digits), few_digits, engine=engine, observer=log, **OPTIONS)
    assert (result.weights_sha256, result.restarts) == (whole.weights_sha256, 1)
    assert "stage 1 (layer 2) has not answered for" in log.warnings[0]


def test_more_faults_than_allowed_end_the_run_with_its_last_checkpoint(engine, few_digits, tmp_path):
    options = {**OPTIONS, "checkpoint_every": 0, "run_dir": tmp_path / "run"}
    log = Log(lambda sample: kill(engine, 2) if sample in (8, 13, 22) else None)
    words = (
        r"stage 2 .* died.*restarted 2 times, as often as --max-restarts allows.*the last good checkpoint is .*-0+19"
    )
    with pytest.raises(pp.StageDied, match=words):
        pp.train(model(few_digits), few_digits, engine=engine, observer=log, max_restarts=2, **options)
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    assert pp.resume(tmp_path / "run", few_digits, engine=engine).weights_sha256 == whole.weights_sha256


def test_what_would_happen_again_is_not_tried_again(engine, few_digits):
    data = pp.Data(few_digits.x_train * 1e18, few_digits.y_train, few_digits.x_test, few_digits.y_test, 10)
    log = Log()
    with pytest.raises(pp.Diverged):
        pp.train(model(data), data, engine=engine, observer=log, **{**OPTIONS, "lr": 1e18})
    assert not log.warnings


def test_a_malformed_message_costs_a_restart_and_no_bit(engine, few_digits, monkeypatch):
    """Whatever put it there: the stage that gets it closes its channel, and everything goes back to the snapshot."""
    whole = pp.train(model(few_digits), few_digits, engine="local", **OPTIONS)
    sent = []

    def garbage(pipeline):
        outlet = pipeline.samples._outlet
        sent.append(outlet._peer.send(b"x" * 72))

    log = Log()
    log._at = lambda sample: garbage(log.pipeline) if sample == 22 else None
    opened = RayPipeline.train

    def train(self, first, lr):
        log.pipeline = self
        opened(self, first, lr)

    monkeypatch.setattr(RayPipeline, "train", train)
    result = pp.train(model(few_digits), few_digits, engine=engine, observer=log, **OPTIONS)
    assert sent
    assert (result.weights_sha256, result.restarts) == (whole.weights_sha256, 1)
    assert "header" in log.warnings[0]


def test_a_trace_of_a_run_with_a_restart_is_of_what_came_after(engine, few_digits, tmp_path):
    log = Log(lambda sample: kill(engine, 1) if sample == 22 else None)
    pp.train(model(few_digits), few_digits, engine=engine, observer=log, trace=tmp_path / "t.json", **OPTIONS)
    assert (tmp_path / "t.json").stat().st_size > 10_000


def test_a_stopped_run_does_not_go_on_after_a_fault(engine, few_digits):
    asked = threading.Event()

    def stop_and_kill(sample):
        if sample == 13:
            asked.set()
            kill(engine, 1)

    log = Log(stop_and_kill)
    result = pp.train(model(few_digits), few_digits, engine=engine, observer=log, stop=asked.is_set, **OPTIONS)
    assert result.interrupted
    assert result.steps in (10, 13)  # the snapshot before, unless the drain was quicker than the kill


class Ticks:
    """A live source: whatever it gave cannot be asked for again."""

    def __init__(self, data: pp.Data, count: int, at: Callable[[int], None] = lambda number: None) -> None:
        self._data, self._left, self._at, self._given = data, count, at, 0
        self.answers: list[tuple[int, torch.Tensor]] = []

    def take(self):
        if self._given == self._left:
            return None
        self._at(self._given)
        chosen = torch.arange(self._given, self._given + 4) * 7 % len(self._data.x_train)
        self._given += 1
        return self._data.x_train[chosen], self._data.y_train[chosen]

    def ahead(self):
        pass

    def answer(self, step, output, there):
        self.answers.append((step, output.argmax(1)))


def test_a_live_stream_is_learnt_from_exactly_once(engine, few_digits):
    """What arrived since the last snapshot is kept; each sample is predicted once, by weights that are the same."""

    def run(where, at):
        net = model(few_digits)
        spec.initialise(net, 0)
        layers = cut(net, few_digits.item_shape, 10, 0)
        plan = Plan(
            stages(Task(layers, 10, pp.Pepita(), lr=0.05), [range(i, i + 1) for i in range(3)]), streaming(3), 4
        )
        restarts = []

        class Heard(Listener):
            def restarted(self, restart):
                restarts.append(restart)

        guarded = Guarded(where, plan, max_restarts=5, listener=Heard())
        guarded.open()
        coordinator = Coordinator(guarded.there, streaming(3), pp.Pepita().passes, batch_size=4)
        source = Ticks(few_digits, 50, at)
        tally = follow(guarded, coordinator, source, 0.05, 8)
        state = guarded.learnt
        guarded.close()
        return tally, state, source.answers, restarts

    tally, expected, answers, _ = run(pp.LocalEngine("cpu"), lambda number: None)
    assert (tally.steps, len(answers)) == (50, 50)
    again, found, same, restarts = run(engine, lambda number: kill(engine, 1) if number in (11, 40) else None)
    assert len(restarts) == 2
    assert again.steps == 50
    for mine, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert [step for step, _ in same] == [step for step, _ in answers]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(same, answers, strict=True))


def test_kept_gives_again_what_came_since_the_mark(few_digits):
    source = Ticks(few_digits, 5)
    kept = Kept(source, 3)
    first = [kept.take() for _ in range(3)]
    assert kept.take() is None and not kept.ended
    kept.again()
    assert all(a is b for a, b in zip(first, (kept.take() for _ in range(3)), strict=True))
    kept.mark()
    assert [kept.take() is not None for _ in range(3)] == [True, True, False]
    assert kept.ended


def test_kept_gets_the_source_ready_once_a_sample(few_digits):
    """Stored items move on when told that the sample is on its way: twice would skip one."""
    data = few_digits
    stored = Stored(data.x_train, torch.arange(len(data.x_train)), torch.arange(6), 1)
    kept, learnt = Kept(stored, 3), []

    def take():
        _, labels = kept.take()
        kept.ahead()
        return int(labels)

    assert [take(), take(), take()] == [0, 1, 2]
    kept.again()
    learnt += [take(), take(), take()]
    kept.mark()
    learnt += [take(), take(), take()]
    assert learnt == [0, 1, 2, 3, 4, 5]


def test_what_cannot_be_opened_leaves_no_heartbeat_behind(engine, few_digits, monkeypatch):
    before = threading.active_count()

    def broken(self):
        raise pp.RunError("no luck")

    monkeypatch.setattr(RayPipeline, "state", broken)
    with pytest.raises(pp.RunError, match="no luck"):
        pp.train(model(few_digits), few_digits, engine=engine, **OPTIONS)
    assert threading.active_count() == before


@pytest.mark.slow
def test_a_lost_node(few_digits):
    """Its stage goes to another node, long before Ray has seen that this one is gone."""
    if ray.is_initialized():
        ray.shutdown()
    from ray.cluster_utils import Cluster as Nodes

    options = {**OPTIONS, "epochs": 60}  # a node takes seconds to die
    whole = pp.train(model(few_digits), few_digits, engine="local", stages=2, **options)
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second, third = nodes.add_node(num_cpus=1), None
        engine = pp.RayEngine(2, address=nodes.address, device="cpu", placement="one-per-host")
        try:
            with pytest.raises(pp.UserError, match="placement 'one-per-host': 3 stages need as many nodes"):
                pp.engines.placement.Placement("one-per-host", 3, {"CPU": 1.0}, "")
            third = nodes.add_node(num_cpus=1)
            began = []

            def lose(sample):
                if sample == 22:
                    began.append(time.monotonic())
                    nodes.remove_node(second, allow_graceful=False)

            log = Log(lose)
            result = pp.train(model(few_digits), few_digits, engine=engine, observer=log, stages=2, **options)
            assert (result.weights_sha256, result.restarts) == (whole.weights_sha256, 1)
            places = ray.get([actor.where.remote() for actor in engine._actors])
            assert {place.node for place in places} == {nodes.head_node.node_id, third.node_id}
        finally:
            engine.close()
    finally:
        nodes.shutdown()
