"""What stands for the reader's own things while the commands of a page are run: files, a sensor, a broker, a cluster.

DIR                        the data folder that PIPEPITA_DATA names; after "folder:", a folder of images
RUN_DIR                    the newest run
FILE                       a file in the page's folder
sensor                     a program that prints items as JSON
10.0.0.5:9000              a server that sends the same to whoever connects
mqtt:10.0.0.5              a broker on which the same is published
FIRST, 10.0.0.11, ...      this machine, with a Ray cluster of its own
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from bench.pages import ROOT
from pipepita.errors import RunError, UserError

_EXAMPLES = ROOT / "scripts" / "examples"
_ITEMS = 200
_WAIT_SECONDS = 60.0
_SENSOR = """#!{python}
import json, os, random
features, classes = int(os.environ.get("SENSOR_FEATURES", 64)), 10
random.seed(0)
for number in range({items}):
    label = random.randrange(classes)
    x = [round(random.gauss(label * (index % 3) / 10, 0.2), 3) for index in range(features)]
    target = 2.0 * x[0] if os.environ.get("SENSOR_TASK") == "regression" else label
    print(json.dumps({{"x": x, "y": target}}), flush=True)
"""


class StandIns:
    """The folder in which one page's commands run, and what is there for them.

    folder: an empty one. data: where the data sets are, if anywhere. text: all that the page will run.
    """

    def __init__(self, folder: Path, data: Path | None, text: str) -> None:
        self.folder, self._data, self._stack = folder, data, contextlib.ExitStack()
        self._port, self._text, self._nodes = _free_port(), text, 0
        self._node = _own_address()
        programs = folder / "programs"
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
        if data is not None:
            self.environment["PIPEPITA_DATA"] = str(data)

    def __enter__(self) -> Self:
        try:
            self._prepare()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _prepare(self) -> None:
        programs = self.folder / "programs"
        programs.mkdir()
        sensor = programs / "sensor"
        sensor.write_text(_SENSOR.format(python=sys.executable, items=_ITEMS))
        sensor.chmod(0o755)
        (self.folder / "scripts").symlink_to(ROOT / "scripts")
        for file in (*_EXAMPLES.glob("*.toml"), _EXAMPLES / "my_rule.py"):
            shutil.copy(file, self.folder)
        if "folder:DIR" in self._text:
            _images(self.folder / "images")
        if "10.0.0.5:9000" in self._text:
            self._tcp = self._stack.enter_context(_server(sensor))
        if "mqtt:" in self._text:
            self._mqtt = self._stack.enter_context(_broker(sensor))
        if "10.0.0.1" in self._text and "ray start" not in self._text:
            problem = self.ray_start("ray start --head --port=6379")
            if problem:
                raise RunError(problem)

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def ray_start(self, text: str) -> str | None:
        """Starts a node of a cluster in the background, and waits until it is there. Returns what went wrong."""
        words = text.replace("FIRST:6379", f"{self._node}:{self._port}").replace("6379", str(self._port)).split()
        extra = ["--num-cpus=4", f"--node-ip-address={self._node}", "--disable-usage-stats", "--block"]
        if "--head" in words:  # in a folder of its own, which is removed with the cluster
            temporary = self._stack.enter_context(
                tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
            )
            extra += [f"--temp-dir={temporary}", "--include-dashboard=false"]
        with (self.folder / "ray.log").open("a") as log:
            node = subprocess.Popen(
                [*words, *extra], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self._stack.callback(_end, node)
        self._nodes += 1
        deadline = time.monotonic() + _WAIT_SECONDS
        while node.poll() is None and time.monotonic() < deadline:
            if self._joined() == self._nodes:
                return None
            time.sleep(1.0)
        return f"{text}: no node within {_WAIT_SECONDS:.0f} s: {(self.folder / 'ray.log').read_text()[-200:]!r}"

    def _joined(self) -> int:
        """How many nodes the cluster has; 0 if it does not answer."""
        program = f"import ray; ray.init('{self._node}:{self._port}', log_to_driver=False); print(len(ray.nodes()))"
        asked = subprocess.run([sys.executable, "-c", program], env=self.environment, capture_output=True, text=True)
        return int(asked.stdout) if asked.returncode == 0 else 0

    def replaced(self, text: str) -> str:
        """The command with something real in place of every word that stands for the reader's own."""
        if found := re.search(r"--features (\d+)", text):
            self.environment["SENSOR_FEATURES"] = found[1]
            self.environment["SENSOR_TASK"] = "regression" if "--task regression" in text else ""
        for old, new in (
            ("folder:DIR", "folder:images"),
            ("RUN_DIR", self._newest_run() if "RUN_DIR" in text else ""),
            ("DIR", str(self._data)),
            ("FILE", "file"),
            ("FIRST:6379", f"{self._node}:{self._port}"),
            ("tcp:10.0.0.5:9000", f"tcp:127.0.0.1:{self._tcp}" if "tcp:" in text else ""),
            ("mqtt:10.0.0.5/", f"mqtt:127.0.0.1:{self._mqtt}/" if "mqtt:" in text else ""),
            ("--address auto", f"--address {self._node}:{self._port}"),
        ):
            text = re.sub(rf"(?<![A-Z_]){re.escape(old)}", new, text)
        text = re.sub(
            r"^(?:\./)?scripts/(?=[\w-]+(?: |$))", f"{ROOT}/scripts/", text
        )  # they find the checkout by their own place
        return re.sub(r"10\.0\.0\.\d+", self._node, text)

    def wrote(self, name: str) -> bool:
        """Whether a command wrote a file, or files into a folder."""
        path = self.folder / name
        return any(path.iterdir()) if path.is_dir() else path.exists() and path.stat().st_size > 0

    def _newest_run(self) -> str:
        runs = sorted((self.folder / "runs").glob("*/run.json"), key=lambda file: file.stat().st_mtime)
        return str(runs[-1].parent.relative_to(self.folder)) if runs else "RUN_DIR"


def _images(folder: Path) -> None:
    """Two classes of small colour images, for training and for testing."""
    from PIL import Image

    random = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 8)):
        for label, name in enumerate(("cats", "dogs")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 128, (32, 32, 3)) + 127 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{number}.png")


def _own_address() -> str:
    """The address by which Ray knows this machine."""
    from ray.util import get_node_ip_address

    return str(get_node_ip_address())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a process and what it has started in its session."""
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_WAIT_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@contextlib.contextmanager
def _server(sensor: Path) -> Iterator[int]:
    """Sends what the sensor prints to whoever connects; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        subprocess.run([sensor], stdout=peer.fileno(), env=os.environ | {"SENSOR_FEATURES": "64"})

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@contextlib.contextmanager
def _broker(sensor: Path) -> Iterator[int]:
    """A broker to which what the sensor prints is published, as soon as somebody may have subscribed."""
    import paho.mqtt.client as paho

    port, program = _free_port(), shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise UserError("mosquitto, the broker, is not installed: apt-get install mosquitto")
    quiet = subprocess.DEVNULL
    broker = subprocess.Popen([program, "-p", str(port)], stdout=quiet, stderr=quiet, start_new_session=True)
    done = threading.Event()

    def send() -> None:
        lines = subprocess.run([sensor], capture_output=True, text=True).stdout.splitlines()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect_async("127.0.0.1", port)  # which tries again until the broker is there
        client.loop_start()
        while not done.wait(1.0):
            for line in lines[:20]:
                client.publish("sensors/1", line)
        client.loop_stop()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield port
    finally:
        done.set()
        thread.join()
        _end(broker)
