"""Exactly-once learning: whatever dies, the work since the last snapshot is done again, and no update is applied twice.

    samples     0 ........ N ........ 2N ....x            x: a stage dies
    snapshots   |          |          |
    again                             2N ........ 3N      every stage goes back to the snapshot at 2N

A snapshot is taken while the pipeline is drained, so it holds all that the stages have learnt. Lost stages are rebuilt,
every stage goes back to the snapshot, and the samples since then go through once more. The run ends with the bits of a
run in which nothing happened. No update is ever sent again to a stage that may have applied it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from pipepita.errors import ChannelClosed, ClusterDied, PipepitaError, StageDied
from pipepita.pipeline.engine import Engine, Pipeline
from pipepita.pipeline.pulse import Pulse
from pipepita.pipeline.state import State
from pipepita.pipeline.wiring import Plan
from pipepita.runs.listeners import Listener
from pipepita.runs.restart import Restart

T = TypeVar("T")

# What can be rebuilt. After any other error the same would happen again.
_FAULTS = (StageDied, ChannelClosed, ClusterDied)

# before the next try, if rebuilding failed: a cluster that has just lost a node may need a moment to notice
_PAUSE_SECONDS = 1.0


class Guarded:
    """A pipeline that is rebuilt when a stage, its process, its node or its link goes away.

    max_restarts: how often in all; 0 for never. listener: told of each fault before the restart, and after it. state: a
    snapshot to begin with. stop: asked while a restart waits for a free node; if it says true, the wait ends.
    """

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        *,
        max_restarts: int = 0,
        listener: Listener | None = None,
        state: State | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._engine, self.plan, self._allowed, self.stop = engine, plan, max_restarts, stop
        self._listener = listener or Listener()
        self._snapshot, self.restarts = state, 0
        self._pipeline: Pipeline | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The current pipeline. Only after `open`."""
        assert self._pipeline is not None
        return self._pipeline

    @property
    def learnt(self) -> State:
        """What all stages had learnt at the last snapshot."""
        assert self._snapshot is not None
        return self._snapshot

    def pulses(self) -> Sequence[Pulse | None]:
        """How each stage is; None for each while there is no pipeline."""
        return [None] * len(self.plan.stages) if self._pipeline is None else self._pipeline.pulses()

    def open(self) -> None:
        """Opens the pipeline, with the snapshot if there is one. A fault meanwhile counts as a restart."""
        try:
            try:
                self._open()
            except _FAULTS as fault:
                self._recover(fault)
        except BaseException:
            self.close()
            raise

    def learn(self, work: Callable[[Pipeline], T]) -> T:
        """Calls `work`, and then takes a snapshot. Returns what `work` returned.

        `work` trains a drained pipeline and leaves it drained. After a fault it is called again from the start, with a
        pipeline that is back at the last snapshot. So if it changes anything else, a second call must put that right.
        Raises what `work` raises, and the fault itself once `max_restarts` are used up.
        """

        def work_and_snapshot() -> tuple[T, State]:
            result = work(self.pipeline)
            return result, self.pipeline.state()

        result, self._snapshot = self._until_it_succeeds(work_and_snapshot)
        return result

    def ask(self, work: Callable[[Pipeline], T]) -> T:
        """Calls `work`, which must not change what the stages have learnt. It is called again after a fault."""
        return self._until_it_succeeds(lambda: work(self.pipeline))

    def close(self) -> None:
        """Closes the pipeline."""
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None

    def _until_it_succeeds(self, work: Callable[[], T]) -> T:
        while True:
            try:
                return work()
            except _FAULTS as fault:
                self._recover(fault)

    def _open(self) -> None:
        self._pipeline = self._engine.open(self.plan)
        if self._snapshot is None:
            self._snapshot = self._pipeline.state()
        else:
            self._pipeline.load(self._snapshot)

    def _recover(self, fault: PipepitaError) -> None:
        """Rebuilds the pipeline and puts it back to the last snapshot. A fault meanwhile is one more restart."""
        began, causes = time.perf_counter(), list[str]()
        while True:
            if self.restarts < self._allowed:
                self._listener.lost(fault)
            with contextlib.suppress(*_FAULTS):
                self.close()
            causes.append(str(fault))
            if self.restarts == self._allowed:
                times = "once" if self.restarts == 1 else f"{self.restarts} times"
                used = f" (restarted {times}, as often as --max-restarts allows)" * bool(self._allowed)
                raise fault.saying(f"{fault}{used}") from None
            self.restarts += 1
            try:
                replaced = self._engine.repair(self.stop)
                self._open()
            except _FAULTS as another:
                fault = another
                time.sleep(_PAUSE_SECONDS)
                continue
            seconds = time.perf_counter() - began
            self._listener.restarted(
                Restart(self.restarts, self._allowed, "; then ".join(causes), tuple(replaced), round(seconds, 3))
            )
            return
