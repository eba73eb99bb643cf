"""The coordinator's channel ends, which notice when a stage dies and say which one it was."""

from __future__ import annotations

import math
import time
from typing import Protocol

from torch import Tensor

from pipepita.channels.channel import Inlet, Message, Outlet
from pipepita.errors import ChannelClosed, PipepitaError

_WATCH_SECONDS = 0.25  # how often a coordinator looks whether all is well


class Watcher(Protocol):
    """Knows whether the stages live; `diagnosis.Diagnosis` is one."""

    def check(self) -> None:
        """Raises what went wrong in a stage, if anything did."""

    def diagnose(self) -> PipepitaError:
        """The cause of a channel that closed."""


class WatchedInlet:
    """An inlet of the coordinator that notices when any stage dies, also one from which it receives nothing.

    Without a timeout it waits for as long as all stages live.
    """

    def __init__(self, inlet: Inlet, watcher: Watcher) -> None:
        self._inlet, self._watcher, self._looked = inlet, watcher, time.monotonic()

    def receive(self, timeout: float | None = None) -> Message:
        until = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            if (now := time.monotonic()) - self._looked > _WATCH_SECONDS:
                self._looked = now
                self._watcher.check()
            try:
                return self._inlet.receive(timeout=min(_WATCH_SECONDS, max(0.0, until - now)))
            except TimeoutError:
                if time.monotonic() >= until:
                    raise
            except ChannelClosed:
                raise self._watcher.diagnose() from None

    def waiting(self) -> int:
        return self._inlet.waiting()

    def close(self) -> None:
        self._inlet.close()


class WatchedOutlet:
    """An outlet of the coordinator that says which stage died."""

    def __init__(self, outlet: Outlet, watcher: Watcher) -> None:
        self._outlet, self._watcher = outlet, watcher

    def send(self, kind: str, step: int, tensor: Tensor | None = None) -> None:
        try:
            self._outlet.send(kind, step, tensor)
        except ChannelClosed:
            raise self._watcher.diagnose() from None

    def close(self) -> None:
        self._outlet.close()
