"""Which stage failed, and why: what the error says if a channel closes or a call to an actor fails.

A closed channel says only that something happened at its other end. The cause may be

    the cluster's head    lost: nothing new can be placed
    a heartbeat           missing: the stage's process hangs, or its node is cut off
    a call to an actor    failed: its process died, or the stage raised an error
    a link to a host      gone: the host or the network between is down

The causes are looked for in this order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pipepita.channels.tcp import TcpOutlet
from pipepita.engines.ray.cluster import load_ray
from pipepita.engines.ray.head import Head
from pipepita.engines.ray.monitor import SILENCE_SECONDS
from pipepita.errors import ChannelClosed, Malformed, PipepitaError, RunError, StageDied
from pipepita.pipeline.stage import StageSpec

DIAGNOSIS_SECONDS = 1.5  # how long Ray may take to say which actor died
_LOOK_SECONDS = 0.1  # how often a call that waits for actors looks whether one of them has failed


class Diagnosis:
    """Watches the stages of one pipeline, and names the cause when one of them fails.

    stages: of the pipeline. head: of the cluster. calls: those that the actors work on now, in the order of the stages.
    links: the coordinator's connections to stages on other hosts, with the stage's index.
    """

    def __init__(self, stages: Sequence[StageSpec], head: Head) -> None:
        self._ray, self._stages, self._head = load_ray(), stages, head
        self._silent: StageDied | None = None
        self.calls: list[Any] = []
        self.links: dict[TcpOutlet, int] = {}

    def results(self, calls: list[Any]) -> list[Any]:
        """What `calls` return, one call per stage. If one fails, or a stage falls silent, the cause is raised."""
        before, self.calls = self.calls, calls
        waiting = list(calls)
        while waiting:
            ready, waiting = self._ray.wait(waiting, num_returns=len(waiting), timeout=_LOOK_SECONDS)
            if waiting and self._trouble(ready):
                raise self.diagnose()
        try:
            results: list[Any] = self._ray.get(calls)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.RayTaskError):
            raise self.diagnose() from None
        self.calls = before
        return results

    def fell_silent(self, index: int) -> None:
        """Stage `index` does not answer heartbeats any more."""
        self._silent = StageDied(
            f"{self._named(index)} has not answered for {SILENCE_SECONDS:.0f} s: its process hangs or its node is out "
            "of reach",
            index,
        )

    def check(self) -> None:
        """Raises the cause if anything went wrong: `StageDied`, a stage's own error, or the loss of the head."""
        finished: list[Any] = []
        if self.calls:
            finished, _ = self._ray.wait(self.calls, num_returns=len(self.calls), timeout=0)
        if self._trouble(finished):
            raise self.diagnose()

    def diagnose(self) -> PipepitaError:
        """The cause of a channel that closed: an actor that died if there is one, else what a stage raised."""
        if self._head.look():
            return self._head.error()
        if self._silent:
            return self._silent
        failures: list[PipepitaError] = []
        deadline = time.monotonic() + DIAGNOSIS_SECONDS
        waiting = list(self.calls)
        while waiting and not any(isinstance(failure, StageDied) for failure in failures):
            ready, waiting = self._ray.wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                break
            failures += filter(None, map(self._failure, ready))
        failures.sort(key=_distance_from_cause)
        if failures:
            return failures[0]
        if unreachable := self._unreachable():
            return ChannelClosed(f"{self._named(unreachable[0])} is out of reach: its host or the link to it is gone")
        return ChannelClosed("a stage closed its channel and did not say why")

    def _trouble(self, finished: list[Any]) -> bool:
        """Whether anything is lost, or one of the `finished` calls failed.

        Ray takes long to miss a host. The link to the host does not.
        """
        return bool(self._head.lost or self._silent or self._unreachable()) or any(map(self._failure, finished))

    def _unreachable(self) -> list[int]:
        """The stages whose link to the coordinator is gone."""
        return sorted({stage for link, stage in self.links.items() if link.gone()})

    def _failure(self, call: Any) -> PipepitaError | None:
        """What a finished call raised, as an error of ours; None if it went well."""
        try:
            self._ray.get(call)
            return None
        except self._ray.exceptions.RayActorError as error:
            index = self.calls.index(call) if call in self.calls else None
            stage = self._named(index) if index is not None else "a stage"
            if getattr(error, "actor_init_failed", False):
                return cannot_start(stage, error)
            return StageDied(f"{stage} died: its process or node is gone", index)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(getattr(error, "cause", None), PipepitaError) else None
            return cause or RunError(f"a stage failed: {str(error).strip().splitlines()[-1]}")

    def _named(self, index: int) -> str:
        """Stage `index` in words, with the layers that it holds."""
        layers = self._stages[index].layers
        first, last = layers[0].number, layers[-1].number
        return f"stage {index} (layer {first})" if first == last else f"stage {index} (layers {first} to {last})"


def cannot_start(stage: str, error: Exception) -> RunError:
    """The error for an actor that no restart helps. It ends with what Python said, like the name of a missing package.

    stage: in words.
    """
    return RunError(f"{stage} cannot start: {str(error).strip().splitlines()[-1]}")


def _distance_from_cause(failure: PipepitaError) -> int:
    """How likely another failure is the cause of this one: channels close because of what happened elsewhere."""
    if isinstance(failure, StageDied):
        return 0
    return 2 if isinstance(failure, ChannelClosed) and not isinstance(failure, Malformed) else 1
