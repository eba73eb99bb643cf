"""Hosts for tests: network namespaces with addresses of their own behind one switch, and links that can be cut.

They share this machine's processes, files and clock; what they do not share is the network. Needs root and iproute2.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_PORT = 6379  # of the Ray head; every host has all ports to itself
_STORE_BYTES = 100 * 10**6
_START_SECONDS = 60
_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "disabled",  # else a token in the home directory makes the head, but no other node, ask for it
}
_made = 0


def why_not() -> str | None:
    """Why no hosts can be made on this machine; None if they can."""
    if sys.platform != "linux":
        return "hosts need Linux's network namespaces"
    if shutil.which("ip") is None:
        return "hosts need ip, of iproute2"
    if os.geteuid() != 0:
        return "hosts need root"
    try:
        with hosts(1):
            return None
    except RuntimeError as error:
        return f"hosts cannot be made here: {error}"


class Host:
    """One host. Make it with `hosts`."""

    def __init__(self, name: str, address: str, switch: str, port: str, log: Path) -> None:
        self.name, self.address = name, address
        self._switch, self._port, self._log = switch, port, log
        self._children: list[subprocess.Popen[Any]] = []

    def popen(self, arguments: Sequence[object], *, env: dict[str, str] | None = None, **options: Any) -> Any:
        """A process on this host, started as by `subprocess.Popen` with `env` over our own environment."""
        environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *map(str, arguments)],  # ip becomes the program: its pid is the child's
            env={**environment, **_RAY, **(env or {})},
            start_new_session=True,
            **options,
        )
        self._children.append(child)
        return child

    def run(
        self, arguments: Sequence[object], *, env: dict[str, str] | None = None, timeout: float = 120, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program on this host to its end. Returns what it printed, as text."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        child = self.popen(arguments, env=env, **options)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    def start_ray(
        self, head_address: str | None = None, cpus: int = 1, *, env: dict[str, str] | None = None, options: str = ""
    ) -> str:
        """Makes this host a node of the cluster at `head_address`, or the head of a new one; the cluster's address.

        env and options: more for `ray start`, such as {"RAY_health_check_period_ms": "500"}.
        """
        folder = tempfile.mkdtemp(prefix=f"{self.name}-", dir="/tmp")  # short: Ray puts Unix sockets in it
        head = ["--head", f"--port={_PORT}", "--include-dashboard=false", "--no-monitor"]
        role = head if head_address is None else [f"--address={head_address}"]
        arguments = [
            Path(sys.executable).with_name("ray"), "start", *role, "--block", f"--node-ip-address={self.address}",
            f"--num-cpus={cpus}", f"--object-store-memory={_STORE_BYTES}", f"--temp-dir={folder}",
            "--disable-usage-stats", "--include-log-monitor=false", *options.split(),
        ]  # fmt: skip
        with self._log.open("w") as log:
            node = self.popen(arguments, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while "Ray runtime started" not in self._log.read_text():
            if node.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Ray did not start on {self.name}:\n{self._log.read_text()}")
            time.sleep(0.1)
        return head_address or f"{self.address}:{_PORT}"

    def processes(self) -> dict[int, str]:
        """The command line of each process on this host, by its id."""
        commands = {}
        for pid in _ip("netns", "pids", self.name).split():
            with contextlib.suppress(OSError):
                commands[int(pid)] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return commands

    def cut(self, *, silent: bool = True) -> None:
        """Cuts this host off. Silently, packets vanish on the way; otherwise its own interface is down as well."""
        _ip("-n", self._switch, "link", "set", self._port, "nomaster")
        if not silent:
            _ip("-n", self.name, "link", "set", "eth0", "down")

    def heal(self) -> None:
        """Undoes `cut`."""
        _ip("-n", self.name, "link", "set", "eth0", "up")
        _ip("-n", self._switch, "link", "set", self._port, "master", "switch")

    def kill(self) -> None:
        """Kills whatever runs on this host, at once. Peers hear of it, as its kernel lives: to be silent, cut first."""
        while pids := list(map(int, _ip("netns", "pids", self.name).split())):  # again, for those that are starting now
            for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none can report another's death
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            time.sleep(0.02)
        for child in self._children:
            child.kill()  # if ip has not become the program yet
            child.wait()


@contextlib.contextmanager
def hosts(count: int) -> Iterator[tuple[Host, ...]]:
    """`count` hosts in one network; nothing of them is left afterwards. Raises RuntimeError where it cannot be."""
    global _made
    _made += 1
    stem = f"pp{os.getpid()}-{_made}-"
    switch, addresses = f"{stem}switch", [f"10.213.{_made % 256}.{n}" for n in range(1, count + 1)]
    names = [f"{stem}{chr(ord('a') + n)}" for n in range(count)]
    logs = Path(tempfile.mkdtemp(prefix=stem, dir="/tmp"))
    made = [
        Host(name, address, switch, f"port{n}", logs / name)
        for n, (name, address) in enumerate(zip(names, addresses, strict=True))
    ]
    _sweep(dead_only=True)
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        for host in made:
            _ip("netns", "add", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "link", "add", "eth0", "type", "veth", "peer", "name", host._port, "netns", switch)
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "eth0", "up")
            _ip("-n", switch, "link", "set", host._port, "master", "switch", "up")
        _introduce(made)
        yield tuple(made)
    finally:
        for host in made:
            with contextlib.suppress(RuntimeError):
                host.kill()
        _sweep(stem)


def two_hosts() -> contextlib.AbstractContextManager[tuple[Host, ...]]:
    return hosts(2)


def _introduce(made: list[Host]) -> None:
    """Tells each host the others' hardware addresses: as behind a router, nobody notices by ARP that one is gone."""
    hardware = {
        host.address: re.findall(r"link/ether (\S+)", _ip("-n", host.name, "link", "show", "eth0"))[0] for host in made
    }
    for host in made:
        for address, link in hardware.items():
            if address != host.address:
                entry = ("replace", address, "lladdr", link, "dev", "eth0", "nud", "permanent")
                _ip("-n", host.name, "neigh", *entry)


def _sweep(stem: str = "pp", *, dead_only: bool = False) -> None:
    """Removes the namespaces (and with them their links and processes) and folders whose names begin with `stem`."""
    listed = _ip("netns", "list").split() if Path("/run/netns").exists() else []
    for name in {word for word in listed if word.startswith(stem)}:
        if not dead_only or _orphan(name):
            with contextlib.suppress(RuntimeError):
                Host(name, "", "", "", Path()).kill()
                _ip("netns", "delete", name)
    for folder in Path("/tmp").glob(f"{stem}*"):
        if not dead_only or _orphan(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _orphan(name: str) -> bool:
    """Whether the process that made `name` has died without clearing up."""
    made_by = re.match(r"pp(\d+)-\d+-", name)
    return made_by is not None and not Path(f"/proc/{made_by[1]}").exists()


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
