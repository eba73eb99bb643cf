"""The ray engine on several hosts: a network between the stages, instead of shared memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import hosts
import pytest
from commandline import command, run

_TRAIN = ("train", "--dataset", "digits", "--network", "fc:64", "--epochs", 2, "--stages", 2, "--device", "cpu")
_STAGE = "ray::StageActor"

pytestmark = pytest.mark.slow


@pytest.fixture
def two_hosts() -> Iterator[tuple[hosts.Host, ...]]:
    if reason := hosts.why_not():
        pytest.skip(reason)
    with hosts.two_hosts() as found:
        yield found


def stages_on(host: hosts.Host) -> int:
    return sum(name.startswith(_STAGE) for name in host.processes().values())


def test_a_stage_on_each_of_two_hosts_trains_to_the_same_bits(two_hosts, tmp_path):
    first, second = two_hosts
    address = first.start_ray(cpus=1)
    second.start_ray(address, cpus=1)
    out, err = tmp_path / "out", tmp_path / "err"
    arguments = [*_TRAIN, "--engine", "ray", "--address", address, "--json", "--run-dir", tmp_path / "ray"]
    with out.open("w") as stdout, err.open("w") as stderr:
        training = first.popen(command(*arguments), cwd=Path(__file__).parents[2], stdout=stdout, stderr=stderr)
    seen, deadline = [0, 0], time.monotonic() + 120
    while training.poll() is None:
        assert time.monotonic() < deadline, err.read_text()
        seen = [max(before, stages_on(host)) for before, host in zip(seen, two_hosts, strict=True)]
        time.sleep(0.1)
    assert training.returncode == 0, err.read_text()
    assert seen == [1, 1]
    local = run(*_TRAIN, "--engine", "local", "--json", "--run-dir", tmp_path / "local", cwd=tmp_path)
    assert local.returncode == 0, local.stderr
    assert json.loads(out.read_text())["weights_sha256"] == json.loads(local.stdout)["weights_sha256"]
