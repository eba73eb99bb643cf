"""A stage that dies: the error names it, long before it counts as silent, and the weights are as they were."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import pytest
import ray

import pipepita as pp
from pipepita.engines.ray import engine, monitor
from pipepita.engines.ray.diagnosis import _distance_from_cause
from pipepita.engines.ray.engine import RayPipeline
from pipepita.errors import ChannelClosed, Malformed, StageDied
from pipepita.network import spec


@pytest.mark.parametrize(
    ("victim", "modulate"),
    [
        (1, "all"),
        *(pytest.param(victim, "input", marks=pytest.mark.rest) for victim in range(3)),
    ],
)
def test_a_killed_stage_ends_the_run_at_once(killable_engine, few_digits, monkeypatch, victim, modulate):
    """Its closed channels are noticed at once: nobody waits for its heartbeat."""
    monkeypatch.setattr(monitor, "SILENCE_SECONDS", 1000)
    killable_engine.repair()  # the test before may have killed an actor
    start = RayPipeline.train

    def train(self, first, lr):
        start(self, first, lr)
        if first == 0:
            pid = self.pids()[victim]

            def kill():
                time.sleep(0.3)
                os.kill(pid, signal.SIGKILL)

            threading.Thread(target=kill).start()

    monkeypatch.setattr(RayPipeline, "train", train)
    net = spec.build("fc:64x2", few_digits.item_shape, 10)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(pp.StageDied, match=rf"stage {victim} \(layer {victim + 1}\) died"):
        pp.train(
            net, few_digits, engine=killable_engine, epochs=100_000, schedule="streaming", window=3,
            rule=pp.Pepita(modulate=modulate), max_restarts=0,
        )  # fmt: skip
    assert all((net.state_dict()[key] == value).all() for key, value in before.items())


def test_an_actor_that_ray_gives_up_before_it_runs_is_started_once_more(killable_engine, monkeypatch):
    """Ray may cancel one that waits to start, as if nobody held it. Nothing is wrong with the stage then."""
    killable_engine.repair()
    start, given_up = killable_engine._actor, []

    def actor(strategy):
        new = start(strategy)
        if len(given_up) < 2:
            given_up.append(_killed(new))
        return new

    monkeypatch.setattr(killable_engine, "_actor", actor)
    _killed(killable_engine._actors[1])
    assert killable_engine.repair() == [1]
    assert len(given_up) == 2


def test_an_actor_that_dies_as_it_starts_ends_the_search(killable_engine, monkeypatch):
    """One that ran is at fault itself, and so is one that never runs for as long as an actor may take to start."""
    killable_engine.repair()
    start = killable_engine._actor

    def actor(strategy):
        new = start(strategy)
        ray.get(new.where.remote())
        return _killed(new)

    with monkeypatch.context() as patch:
        patch.setattr(killable_engine, "_actor", actor)
        _killed(killable_engine._actors[1])
        with pytest.raises(pp.StageDied, match="stage 1 died again as it was started"):
            killable_engine.repair()
        patch.setattr(engine, "_START_SECONDS", 0.0)
        patch.setattr(killable_engine, "_actor", lambda strategy: _killed(start(strategy)))
        with pytest.raises(pp.StageDied, match=r"stage 1 died again as it was started: .*never ran"):
            killable_engine.repair()
    assert killable_engine.repair() == [1]


def _killed(actor):
    """Kills an actor, and waits until Ray has seen to it."""
    ray.kill(actor)
    with contextlib.suppress(ray.exceptions.RayActorError):
        while True:
            ray.get(actor.where.remote())
    return actor


def test_of_several_failures_the_likeliest_cause_is_named():
    """Channels close because of what happened elsewhere, unless what came through one was wrong."""
    closed, died, malformed, raised = ChannelClosed("1"), StageDied("2"), Malformed("3"), pp.RunError("4")
    assert sorted([closed, malformed, died], key=_distance_from_cause) == [died, malformed, closed]
    assert sorted([closed, raised], key=_distance_from_cause) == [raised, closed]
