"""A stage that dies: the error names it, long before it counts as silent, and the weights are as they were."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

import pipepita as pp
from pipepita.engines.ray import monitor
from pipepita.engines.ray.engine import RayPipeline
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
