"""The ray engine on several hosts: a network between the stages, which is cut and healed, and hosts that are lost.

Whatever happens, a run ends with the bits of a run in one process, or with one line that says what to do.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hosts
import pytest
from commandline import command
from commandline import run as run_here

_ROOT = Path(__file__).parents[3]
_TRAIN = (
    "train", "--dataset", "digits", "--network", "fc:64", "--stages", 2, "--device", "cpu", "--batch-size", 16,
    "--snapshot-every", 20, "--epochs", 30, "--json",
)  # fmt: skip
_STAGE = "ray::StageActor"
_PATIENCE = 8  # seconds, instead of two minutes
_IMPATIENT = f"""
import pipepita.engines.ray.engine
pipepita.engines.ray.engine._REPLACE_SECONDS = {_PATIENCE}
from pipepita.cli import main
main()
"""

# a loaded machine starts Ray ten times slower
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def bits(tmp_path_factory) -> str:
    """The digest of the weights with which the run in one process ends."""
    folder = tmp_path_factory.mktemp("local")
    done = run_here(*_TRAIN, "--engine", "local", "--run-dir", folder / "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["weights_sha256"]


@pytest.fixture
def three() -> Iterator[tuple[hosts.Host, ...]]:
    """Three hosts, which form no cluster yet."""
    if reason := hosts.why_not():
        pytest.skip(reason)
    with hosts.hosts(3) as three_hosts:
        yield three_hosts


class Training:
    """A run on `host`, in the background."""

    def __init__(self, host: hosts.Host, address: str, folder: Path, placement: str, *, patient: bool = True) -> None:
        folder.mkdir()
        self.folder = folder / "run"
        self._out, self._err = folder / "out", folder / "err"
        arguments = [
            *_TRAIN, "--engine", "ray", "--address", address, "--placement", placement, "--run-dir", self.folder,
        ]  # fmt: skip
        program = command(*arguments) if patient else [sys.executable, "-c", _IMPATIENT, *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = host.popen(program, cwd=_ROOT, stdout=out, stderr=err)

    def status(self) -> dict[str, Any]:
        path = self.folder / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def wait_until(self, what: Callable[[dict[str, Any]], bool], seconds: float = 200) -> dict[str, Any]:
        """Waits until `what` says true of the run's status, and returns that status."""
        deadline = time.monotonic() + seconds
        while not ((status := self.status()) and what(status)):
            assert self.process.poll() is None and time.monotonic() < deadline, (status, self._err.read_text())
            time.sleep(0.02)
        return status

    def goes_on(self, *, restarts: int = 0) -> dict[str, Any]:
        """Waits until the run learns, after `restarts` restarts, and every stage has answered; returns the status."""
        return self.wait_until(
            lambda now: (
                now["state"] == "training"
                and now["epoch"] > 1
                and now["restarts"] >= restarts
                and all(row["pid"] for row in now["stages"])
            )
        )

    def loses_a_stage(self) -> None:
        self.wait_until(lambda now: now["state"] == "restarting", 40)

    def ends(self, code: int = 0, seconds: float = 200) -> dict[str, Any]:
        """Waits until the run ends with exit code `code`, and returns its result. It printed only lines of ours."""
        self.process.wait(seconds)
        self.errors = [line for line in self._err.read_text().splitlines() if not line.startswith("epoch ")]
        assert self.process.returncode == code, self.errors
        words = (
            "fc:64: ", "run folder ", "goes on in ", "go on with: ", "starting the engine", "warning: ", "error: ",
            "stopping after",
        )  # fmt: skip
        assert [line for line in self.errors if not line.startswith(words)] == []
        self.result = json.loads(self._out.read_text() or "{}")
        return self.result

    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def stages_on(host: hosts.Host) -> list[int]:
    return [pid for pid, name in host.processes().items() if name.startswith(_STAGE)]


@pytest.mark.rest  # tests/runs/test_recovery.py has a stage that falls silent, and one that is cut off
def test_links_that_are_cut_for_a_while(three, tmp_path, bits):
    """There is no other node for the stage behind the link, so the run waits for the link and goes on."""
    first, second, _ = three
    address = first.start_ray(cpus=1)
    second.start_ray(address, cpus=1)

    run = Training(first, address, tmp_path / "short", f"{second.address},{first.address}")
    places = [row["pid"] for row in run.goes_on()["stages"]]
    assert ([places[0]], [places[1]]) == (stages_on(second), stages_on(first))
    cut(second, 1)
    run.wait_until(lambda now: now["epoch"] > 3)
    cut(second, 6)
    assert run.ends()["weights_sha256"] == bits
    assert 1 <= run.result["restarts"] == len(run.events()) <= 2

    run = Training(first, address, tmp_path / "long", "one-per-host")
    run.goes_on()
    cut(second, 25)
    assert run.ends()["weights_sha256"] == bits
    assert run.result["restarts"] == len(run.events()) == 1

    run = Training(first, address, tmp_path / "interrupted", "spread")
    run.goes_on()
    second.cut()
    run.loses_a_stage()
    time.sleep(3)  # by now it looks for another node
    run.process.send_signal(signal.SIGINT)
    assert run.ends(130, 60) == {}
    assert run.status()["state"] == "interrupted"
    second.heal()
    nobody_stays(three)


def test_hosts_that_are_lost(three, tmp_path, bits, every_case):
    """The stage goes to another host. If there is none, the run ends."""
    first, second, third = three
    address = first.start_ray(cpus=1)
    second.start_ray(address, cpus=1)
    third.start_ray(address, cpus=1)

    run = Training(first, address, tmp_path / "killed", "spread")
    run.goes_on()
    lost, spare = beside(three)
    lost.kill()
    moved(run, spare)
    assert run.ends()["weights_sha256"] == bits
    assert run.result["restarts"] == len(run.events()) == 1

    if every_case:  # the same without a word from the host's kernel
        lost.start_ray(address, cpus=1)
        run = Training(first, address, tmp_path / "power", "one-per-host")
        run.goes_on()
        lost, spare = beside(three)
        lost.cut()
        lost.kill()
        moved(run, spare)
        assert run.ends()["weights_sha256"] == bits
        assert run.result["restarts"] == len(run.events()) == 1
    nobody_stays(three)

    if every_case:
        (other,) = {second, third} - {lost}
        run = Training(first, address, tmp_path / "nowhere", f"{first.address},{other.address}", patient=False)
        ends_with_nowhere_to_go(run, other)
        nobody_stays(three)
        done = run_here(
            "train", "--resume", run.folder, "--address", "local", "--placement", "pack", "--json", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["weights_sha256"] == bits


def ends_with_nowhere_to_go(run: Training, other: hosts.Host) -> None:
    """Kills the only other host that may hold the stage, and waits until the run ends with its one line."""
    run.goes_on()
    other.kill()
    began = time.monotonic()
    run.ends(1)
    assert time.monotonic() - began > _PATIENCE
    (error,) = [line for line in run.errors if line.startswith("error: ")]
    assert f"no node that answers had a free CPU in {_PATIENCE} s" in error
    assert f"the last good checkpoint is {run.folder}" in error


def cut(host: hosts.Host, seconds: float) -> None:
    """Cuts `host` off for so long. Nobody is told: packets vanish."""
    host.cut()
    time.sleep(seconds)
    host.heal()


def beside(three: tuple[hosts.Host, ...]) -> tuple[hosts.Host, hosts.Host]:
    """The host with a stage that is not the coordinator's, and the host without a stage."""
    first, second, third = three
    (spare,) = [host for host in three if not stages_on(host)]
    return (third, spare) if spare in (first, second) else (second, spare)


def moved(run: Training, host: hosts.Host) -> None:
    """Waits until the stage that was just lost works again, on `host`."""
    run.loses_a_stage()
    run.goes_on(restarts=1)
    assert stages_on(host)


def nobody_stays(where: tuple[hosts.Host, ...]) -> None:
    """Waits until no process of a stage is left: it would keep a CPU of its node."""
    deadline = time.monotonic() + 60
    while any(stages_on(host) for host in where):
        assert time.monotonic() < deadline
        time.sleep(0.1)
