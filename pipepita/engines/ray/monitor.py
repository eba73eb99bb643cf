"""Heartbeats: asks every actor how it is, from a thread of its own, and says which one has fallen silent.

A process that dies closes its channels, so it is noticed at once. A process that hangs, or whose node is cut off, does
not close them. It is noticed because it does not answer.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pipepita.engines.ray.cluster import load_ray
from pipepita.pipeline.pulse import Pulse

# After this a stage counts as lost. Its answer waits for no pass, but a loaded machine may delay it.
SILENCE_SECONDS = 20.0
_START_SECONDS = 120.0  # allowed until the first answer, or until `all_there`: the process may still be starting
_TICK_SECONDS = 0.1
_GAP_SECONDS = 1.0  # between two turns of our own loop; a longer one means that this process did not run

OnPulse = Callable[[int, Pulse], None]


class Monitor:
    """Asks `actors` every `every` seconds. on_silence: called with the index of an actor that does not answer.

    on_pulse: called with the index and the answer of one that does. pulses: the latest answer of each actor; None if
    there was none yet, or if the last question failed.
    """

    def __init__(
        self,
        actors: Sequence[Any],
        every: float,
        on_silence: Callable[[int], None],
        on_pulse: OnPulse | None = None,
    ) -> None:
        self._ray, self._actors, self._every, self._on_silence = load_ray(), actors, every, on_silence
        self._on_pulse = on_pulse
        self.pulses: list[Pulse | None] = [None] * len(actors)
        self._heard = [-math.inf] * len(actors)
        self._since = time.monotonic() + _START_SECONDS - SILENCE_SECONDS  # silence counts from this time on
        self._asked: dict[Any, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due, turned = 0.0, time.monotonic()
        # the cluster may go away while we ask; whoever waits for a stage notices that in another way
        with contextlib.suppress(Exception):
            while not self._ended.wait(_TICK_SECONDS):
                now = time.monotonic()
                if now - turned > _GAP_SECONDS:  # this process did not run: that was nobody else's silence
                    self._heard = [heard + now - turned for heard in self._heard]
                turned = now
                if now >= due:
                    due = now + self._every
                    self._ask()
                self._listen(now)
                silent = [i for i, heard in enumerate(self._heard) if now - max(heard, self._since) > SILENCE_SECONDS]
                for index in silent:
                    self._on_silence(index)
                if silent:
                    return

    def all_there(self) -> None:
        """Says that every actor has answered once: none is still starting, so silence counts from now on."""
        self._since = time.monotonic()

    def _ask(self) -> None:
        waiting = set(self._asked.values())
        self._asked |= {a.pulse.remote(): i for i, a in enumerate(self._actors) if i not in waiting}

    def _listen(self, now: float) -> None:
        if not self._asked:
            return
        ready, _ = self._ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
        for ref in ready:
            index = self._asked.pop(ref)
            self._heard[index] = now  # an error is an answer too: a dead actor is not silent
            try:
                pulse = self.pulses[index] = self._ray.get(ref)
            except self._ray.exceptions.RayError:
                self.pulses[index] = None
            else:
                if self._on_pulse is not None:
                    self._on_pulse(index, pulse)

    def close(self) -> None:
        """Stops asking."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
