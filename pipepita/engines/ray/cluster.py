"""The Ray cluster that the ray engine uses: an existing one, or an embedded one that leaves nothing behind."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from types import ModuleType

from pipepita.engines.ray.janitor import Janitor
from pipepita.errors import RunError, UserError

_CONNECT_SECONDS = 5.0
_HELPERS = ("start_api_server", "start_monitor", "start_log_monitor")
_OBJECT_STORE_BYTES = 256 * 2**20  # for weights on their way in and out; larger ones spill to the temporary folder


def load_ray() -> ModuleType:
    """Ray, imported when it is used, without its usage reports and banners."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's new default; silences its warning
    import ray

    return ray


class Cluster:
    """A connection to Ray, and the embedded cluster behind it if we started one.

    address: an existing cluster ("host:port", "auto", or "ray://host:port"). None or "local" starts an embedded cluster
    with `cpus` and `gpus`. If this process is connected to Ray already, that connection is used and left alone.
    Raises `UserError` if `address` cannot be reached, and `RunError` if an embedded cluster cannot start.
    """

    def __init__(self, address: str | None, cpus: int, gpus: int) -> None:
        self._ray = load_ray()
        self._folder: str | None = None
        self._janitor: Janitor | None = None
        self._owned = not self._ray.is_initialized()
        if not self._owned:
            return
        # Ray would log errors too: those of calls that nobody asks about any more, because their stage was given up
        quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
        if address not in (None, "local"):
            _reach(address)
            self._mute()
            try:
                with _signals_kept():
                    self._ray.init(address=address, **quiet)
            except Exception as error:  # ray raises many kinds here
                self.close()
                raise UserError(f"cannot join the Ray cluster at {address!r}: {first_line(error)}") from None
            return
        self._mute()
        try:
            self._folder = tempfile.mkdtemp(prefix="pipepita-")  # short: Ray puts Unix sockets in it
            self._janitor = Janitor(self._folder)
            with _signals_kept(), helpers_left_out(self._ray):
                self._ray.init(
                    address="local",  # otherwise RAY_ADDRESS in the environment would decide
                    num_cpus=cpus,
                    num_gpus=gpus,
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _temp_dir=f"{self._folder}/r",  # a folder inside, because Ray makes its own readable to everybody
                    **quiet,
                )
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception):
                raise
            raise RunError(f"cannot start an embedded Ray cluster: {first_line(error)}") from None

    def _mute(self) -> None:
        """Stops Ray from printing a paragraph for each dead worker, whatever its logging level. We print one line."""
        worker = self._ray._private.worker
        self._print = getattr(worker, "print_to_stdstream", None)
        if self._print is not None:
            worker.print_to_stdstream = lambda *arguments, **options: None

    def dead(self) -> str | None:
        """Which process of an embedded cluster has ended: "raylet" or "control store"; None if none has.

        If one of a raylet's agents ends, the raylet ends too.
        """
        node = self._ray._private.worker._global_node if self._folder is not None else None
        ended = [name for name, _ in node.dead_processes()] if node is not None else []
        return {"gcs_server": "control store"}.get(ended[0], ended[0]) if ended else None

    def close(self) -> None:
        """Leaves the cluster. If we started it, ends it and removes its files."""
        died = self.dead() is not None  # then agents may have stayed
        if self._owned:
            self._ray.shutdown()
            if self._print is not None:
                self._ray._private.worker.print_to_stdstream = self._print
            self._owned = False
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        if self._janitor is not None:
            if died:
                self._janitor.clean()
            else:
                self._janitor.dismiss()
            self._janitor = None


@contextlib.contextmanager
def helpers_left_out(ray: ModuleType) -> Iterator[None]:
    """Lets `ray.init` start a cluster without three helper processes that an embedded one never asks anything.

    They are the dashboard (which starts even without its pages), the autoscaler and the collector of logs. `ray.init`
    has no option for them, and they cost 2.4 s of processor time at every start. A Ray with other names starts them.
    """
    node = ray._private.node.Node
    methods = {name: getattr(node, name) for name in _HELPERS if hasattr(node, name)}
    for name in methods:
        setattr(node, name, lambda self, **options: None)
    try:
        yield
    finally:
        for name, method in methods.items():
            setattr(node, name, method)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Puts the caller's handler of SIGTERM back: Ray installs its own, which prints a stack and aborts."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _reach(address: str) -> None:
    """Raises `UserError` at once if nobody listens at `address`: Ray itself would try for a minute."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise UserError(f"address {address!r} is not host:port, auto or ray://host:port")
    try:
        with contextlib.closing(socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS)):
            return
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"no Ray cluster answers at {address!r} ({reason}): start one with ray start --head") from None


def first_line(error: BaseException) -> str:
    """What the error says, in one line."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
