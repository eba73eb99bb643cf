"""Gauges of the stages: set on every pulse, and exported by an existing cluster."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

import pipepita as pp
from pipepita.engines.ray.metrics import Gauges
from pipepita.network import spec


def test_every_pulse_is_passed_on(ray_engine, few_digits, monkeypatch):
    assert ray_engine._on_pulse is None, "an embedded cluster exports nothing"
    seen, gauges = {}, Gauges()

    def on_pulse(stage, pulse):
        gauges.set(stage, pulse)
        seen[stage] = pulse

    monkeypatch.setattr(ray_engine, "_on_pulse", on_pulse)
    net = spec.build("fc:16x2", few_digits.item_shape, 10)
    pp.train(net, few_digits, engine=ray_engine, epochs=100_000, stop=lambda: len(seen) == 3)
    assert len({pulse.pid for pulse in seen.values()}) == 3
    assert all(pulse.memory > 1e7 for pulse in seen.values())


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait(until, what: str, seconds: float = 90.0):
    deadline = time.monotonic() + seconds
    while not (answer := until()):
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
    return answer


@pytest.mark.slow
def test_prometheus_can_fetch_them(tmp_path):
    if not (find_spec("aiohttp_cors") and find_spec("opencensus")):
        pytest.skip("Ray exports nothing without its agent: pip install 'ray[default]'")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    program, folder, port = "ray.scripts.scripts", Path("/tmp") / f"ppm{os.getpid()}", _free_port()
    start = [sys.executable, "-m", program, "start", "--head", "--block", "--port=0", "--num-cpus=2"]
    start += ["--include-dashboard=false", f"--metrics-export-port={port}", f"--temp-dir={folder}"]
    with (tmp_path / "log").open("w") as log:
        cluster = subprocess.Popen(start, stdout=log, stderr=log, env=environment)
    training = None
    try:
        announced = folder / "ray_current_cluster"
        _wait(announced.exists, "no cluster")
        train = [sys.executable, "-m", "pipepita", "train", "--address", announced.read_text().strip()]
        train += ["--network", "fc:16", "--epochs", "100000", "--run-dir", "out"]
        with (tmp_path / "log").open("a") as log:
            training = subprocess.Popen(train, cwd=tmp_path, stdout=log, stderr=log, env=environment)

        def exported() -> dict[tuple[str, str], float]:
            assert training.poll() is None, (tmp_path / "log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
                    text = page.read().decode()
            except OSError:
                return {}
            rows = re.findall(r'pipepita_stage_(\w+)\{.*\bstage="(\d)".*\} (\S+)', text)
            return {(name, stage): float(value) for name, stage, value in rows}

        gauges = _wait(exported, "no gauges")
        assert set(gauges) == {(name, stage) for name in ("step", "queue", "busy", "memory_bytes") for stage in "01"}
        assert gauges["memory_bytes", "0"] > 1e7
        assert 0 <= gauges["busy", "1"] <= 1
    finally:
        for process in filter(None, (training, cluster)):
            process.terminate()
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
