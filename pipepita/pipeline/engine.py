"""What the coordinator may ask of an engine and of the pipeline that it builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pipepita.channels.channel import Inlet, Outlet
from pipepita.pipeline.pulse import Pulse
from pipepita.pipeline.state import State
from pipepita.pipeline.wiring import Plan
from pipepita.timeline.recorder import Spans


class Pipeline(Protocol):
    """Stages wired to each other and to the coordinator.

    threads: torch's intra-op threads that the coordinator may use. Idle ones spin for a while, so beside stages in
    processes of their own, which need the cores, it is one. depth: how many stages.
    aligns: whether the rule wants `align` before each epoch.

    Between `train` or `evaluate` and `join` the stages run and messages flow; otherwise they are drained and idle.
    """

    threads: int
    classes: int
    depth: int
    aligns: bool

    @property
    def samples(self) -> Outlet:
        """To the first stage."""

    @property
    def outputs(self) -> Inlet:
        """From the last stage."""

    @property
    def signals(self) -> Mapping[str, Sequence[Outlet]]:
        """By pass: to every stage that needs the target (in the first pass) or the error (in the second)."""

    @property
    def done(self) -> Sequence[Inlet]:
        """From every stage, where the schedule waits for updates."""

    def train(self, first: int, lr: float) -> None:
        """Every stage begins to train, the next sample being `first`."""

    def align(self, epoch: int) -> None:
        """Every layer aligns its feedback with the weights, for a rule that aligns; between epochs."""

    def evaluate(self) -> None:
        """Every stage begins to evaluate."""

    def join(self) -> None:
        """Waits until every stage has finished what `train` or `evaluate` began."""

    def state(self) -> State:
        """What all layers have learnt, on the CPU."""

    def load(self, state: State) -> None:
        """Every stage goes on from its part of `state`."""

    def pulses(self) -> Sequence[Pulse | None]:
        """How each stage is; None of one that does not say."""

    def timeline(self) -> list[Spans]:
        """What each stage recorded, on the coordinator's clock."""

    def non_finite(self) -> str | None:
        """The first layer with a weight that is NaN or infinite, in words, or None."""

    def close(self) -> None:
        """Frees channels and stages, whatever state they are in."""


class Engine(Protocol):
    """Builds pipelines. May be kept open and used for many."""

    name: str

    def devices(self, stages: int) -> list[str]:
        """The torch device of each of `stages` stages."""

    def open(self, plan: Plan) -> Pipeline:
        """A pipeline for `plan`."""

    def repair(self, stop: Callable[[], bool] = lambda: False) -> list[int]:
        """Replaces what the engine has lost since it was made; the stages whose places are new.

        stop: asked while it waits; true ends a long wait with `KeyboardInterrupt`. Raises `RunError`.
        """

    def close(self) -> None:
        """Gives back whatever the engine took (actors, a cluster of its own)."""
