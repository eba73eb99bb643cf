"""The ray engine on a real cluster: its actors, their errors, and clusters that exist already."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

import pipepita as pp
from pipepita.engines.ray.engine import RayPipeline, gpu_share
from pipepita.network import spec
from pipepita.runs.display import Observer


def model(data: pp.Data, network: str = "fc:64x2"):
    return spec.build(network, data.item_shape, 10)


def test_gpu_share():
    assert [gpu_share(*case) for case in ((1, 1), (2, 4), (4, 4), (3, 2), (4, 2), (9, 4), (5, 0))] == [
        1.0, 1.0, 1.0, 0.5, 0.5, 1 / 3, 0.0,
    ]  # fmt: skip


def test_cluster_has_exactly_what_the_actors_need(ray_engine):
    assert ray.cluster_resources()["CPU"] == 3
    assert ray.available_resources().get("CPU", 0) == 0


def test_each_stage_is_a_process_of_its_own(ray_engine):
    pids = [pulse.pid for pulse in ray.get([actor.pulse.remote() for actor in ray_engine._actors])]
    assert len({os.getpid(), *pids}) == 4


def test_control_answers_while_the_loop_runs(ray_engine, few_digits):
    """`pulse` is asked in the middle of an epoch, when every stage's loop is running."""
    answers = []

    class Watch(Observer):
        def sample(self, tally):
            if len(answers) < 3:
                answers.append(ray.get(ray_engine._actors[1].pulse.remote(), timeout=5))

    pp.train(model(few_digits), few_digits, engine=ray_engine, epochs=1, batch_size=16, observer=Watch())
    assert len(answers) == 3
    assert len({pulse.pid for pulse in answers}) == 1
    assert [pulse.step for pulse in answers] == sorted(pulse.step for pulse in answers)
    assert all(0 <= pulse.busy <= 1 and pulse.memory > 10_000_000 for pulse in answers)


def test_a_stage_that_raises_says_what(ray_engine, few_digits, monkeypatch):
    """An error inside an actor comes out as itself, not as the closed channels that it leads to."""
    send = RayPipeline.train

    def train(self, first, lr):
        send(self, first + 1, lr)  # stages expect sample 1 first; the coordinator sends sample 0

    monkeypatch.setattr(RayPipeline, "train", train)
    with pytest.raises(pp.RunError, match="the standard pass of sample 0 arrived when the standard pass of 1 was due"):
        pp.train(model(few_digits), few_digits, engine=ray_engine, epochs=1)


def test_the_engine_is_as_good_as_new_afterwards(ray_engine, few_digits):
    results = [pp.train(model(few_digits), few_digits, engine=ray_engine, epochs=1) for _ in range(2)]
    assert results[0].weights_sha256 == results[1].weights_sha256


def test_more_stages_than_actors(ray_engine, few_digits):
    with pytest.raises(pp.UserError, match="4 stages, but the engine was opened with 3 actors"):
        pp.train(model(few_digits, "fc:16x4"), few_digits, engine=ray_engine, stages=4, epochs=1)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at '127.0.0.1:1'.*ray start"),
        ("nonsense", "'nonsense' is not host:port"),
        ("127.0.0.1:99999", "127.0.0.1:99999"),
    ],
)
def test_unreachable_cluster(address, words, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # else the connection of another test would be used
    with pytest.raises(pp.UserError, match=words):
        pp.RayEngine(1, address=address)


@pytest.mark.slow
@pytest.mark.rest  # test_placement.py joins one, too
def test_existing_cluster_is_used_and_left_running(tmp_path, few_digits):
    """A cluster that somebody else started is joined by its address. It has too few CPUs for the second run."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    program = Path(sys.executable).with_name("ray")
    folder = Path("/tmp") / f"ppt{os.getpid()}"
    start = [program, "start", "--head", "--block", "--port=0", "--num-cpus=2", "--include-dashboard=false"]
    with (tmp_path / "log").open("w") as log:
        cluster = subprocess.Popen([*start, f"--temp-dir={folder}"], stdout=log, stderr=log, env=environment)
    try:
        announced, deadline = folder / "ray_current_cluster", time.monotonic() + 60
        while not announced.exists():
            assert cluster.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.2)
        address = announced.read_text().strip()
        script = (
            "import sys, pipepita as pp\n"
            "d = pp.load('digits'); m = lambda n: pp.build(n, d.item_shape, 10)\n"
            "r = pp.train(m('fc:16'), d, engine='ray', epochs=1, address=sys.argv[1]); print(r.stages)\n"
            "try: pp.train(m('fc:16x2'), d, engine='ray', epochs=1, address=sys.argv[1])\n"
            "except pp.UserError as e: print(e)\n"
        )
        done = subprocess.run([sys.executable, "-c", script, address], capture_output=True, text=True, timeout=120)
        assert done.stdout.splitlines()[0] == "2", done.stderr
        assert "3 stages need 3 CPUs, but the cluster has 2: use fewer --stages" in done.stdout
        status = [str(program), "status", "--address", address]
        listed = subprocess.run(status, capture_output=True, text=True, timeout=60)
        assert listed.returncode == 0
    finally:
        cluster.terminate()
        cluster.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def test_busy_cluster_is_told_apart_from_a_small_one(ray_engine, monkeypatch):
    monkeypatch.setattr("pipepita.engines.ray.placement._SECONDS", 1)
    with pytest.raises(pp.UserError, match="2 stages need 2 CPUs, but only 0 CPUs and 0 GPUs of the cluster are free"):
        pp.RayEngine(2, device="cpu")
