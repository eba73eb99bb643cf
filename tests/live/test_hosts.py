"""An online run across hosts, fed over the network by a third one; a link is cut for a while, and a host is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import hosts
import pytest
from commandline import command

_ROOT = Path(__file__).parents[2]
_ITEMS = 5000
_OPTIONS = ("--features", 64, "--classes", 10, "--network", "fc:32x2", "--snapshot-every", 200)
_SENSOR = """
import socket, sys, time
from pathlib import Path
listener = socket.create_server(("", 9000))
peer, _ = listener.accept()
for line in Path(sys.argv[1]).read_bytes().splitlines(keepends=True):
    peer.sendall(line)
    time.sleep(0.002)
peer.shutdown(socket.SHUT_WR)
peer.recv(1)
"""


def until(what: Callable[[], bool], process: subprocess.Popen, said: Path) -> None:
    deadline = time.monotonic() + 200
    while not what():
        assert process.poll() is None and time.monotonic() < deadline, said.read_text()[-3000:]
        time.sleep(0.05)


def count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_no_item_is_lost_whatever_happens_between_the_hosts(digits, tmp_path):
    if reason := hosts.why_not():
        pytest.skip(reason)
    x, y = digits.x_train.flatten(1).tolist(), digits.y_train.tolist()
    items = [json.dumps({"x": x[n % len(x)], "y": y[n % len(y)]}) + "\n" for n in range(_ITEMS)]
    lines, run, out, said = (tmp_path / name for name in ("lines", "run", "out", "said"))
    lines.write_text("".join(items))
    with hosts.hosts(3) as (first, second, sensor):
        address = first.start_ray(cpus=2)
        second.start_ray(address, cpus=1)
        sensor.popen([sys.executable, "-c", _SENSOR, lines])
        arguments = command(
            "online", "--source", f"tcp:{sensor.address}:9000", *_OPTIONS, "--engine", "ray", "--address", address,
            "--stages", 2, "--placement", "spread", "--run-dir", run,
        )  # fmt: skip
        with out.open("w") as printed, said.open("w") as errors:
            process = first.popen(arguments, cwd=_ROOT, stdout=printed, stderr=errors)
            until(lambda: count(out) > 1000, process, said)
            second.cut()
            time.sleep(2)
            second.heal()
            until(lambda: count(out) > 2500, process, said)
            second.kill()
            until(lambda: process.poll() is not None or count(out) == _ITEMS, process, said)
            assert process.wait(100) == 0, said.read_text()[-3000:]
    result = json.loads((run / "result.json").read_text())
    assert result["restarts"] >= 1 and result["learnt"] == _ITEMS
    for predictions in (out, run / "predictions.jsonl"):
        assert [json.loads(line)["id"] for line in predictions.read_text().splitlines()] == list(range(_ITEMS))
    again = ("--engine", "local", "--order", run / "order.txt", "--run-dir", tmp_path / "again")
    with lines.open() as source:
        done = subprocess.run(
            command("online", "--source", "-", *_OPTIONS, *again), stdin=source, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    undisturbed = json.loads((tmp_path / "again" / "result.json").read_text())
    assert undisturbed["weights_sha256"] == result["weights_sha256"]
