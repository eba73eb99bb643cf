"""What can be read from recorded spans: latencies, lock times, where the time of a sample goes, what a hop takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipepita.schedule import Flow
from pipepita.timeline.recorder import PASS, PHASES, RECEIVE, SEND, UPDATE, Spans

_MS = 1e-6  # of a nanosecond


@dataclass(frozen=True)
class Timeline:
    """One run: what the coordinator and each stage recorded, on one clock.

    passes: the rule's, first to last. flow: how the second travels.
    """

    coordinator: Spans
    stages: list[Spans]
    passes: tuple[str, ...]
    flow: Flow = Flow.UP

    def prediction_ms(self, first: int) -> list[float]:
        """From the admission of each sample from `first` on to its output at the coordinator, milliseconds."""
        admitted = self._admitted(first)
        known = _by_step(self.coordinator.of(RECEIVE), "end")
        return [(known[step] - admitted[step]) * _MS for step in admitted if step in known]

    def update_ms(self, first: int) -> list[float]:
        """From the admission of each sample from `first` on to the end of its last update, milliseconds."""
        admitted = self._admitted(first)
        updated: dict[int, int] = {}
        for spans in self.stages:
            for step, end in _by_step(spans.of(UPDATE), "end").items():
                updated[step] = max(updated.get(step, 0), end)
        return [(updated[step] - admitted[step]) * _MS for step in admitted if step in updated]

    def lock_ms(self, layer: int, first: int) -> list[float]:
        """How long `layer`, having computed a sample's standard pass, waited before the next one's, milliseconds."""
        for spans in self.stages:
            rows = spans.of(PASS, self.passes[0], layer)
            rows = rows[rows["step"] >= first]
            if len(rows):
                return list((rows["begin"][1:] - rows["end"][:-1]) * _MS)
        return []

    def shares_ms(self, stage: int, first: int) -> dict[str, float]:
        """Where the time of a sample goes at one stage: milliseconds by phase, passes by name; receive is waiting."""
        spans = self.stages[stage]
        rows = spans.rows[spans.rows["step"] >= first]
        samples = max(1, len(np.unique(rows["step"])))
        found: dict[str, float] = {}
        for row in rows:
            phase = int(row["phase"])
            key = spans.names[int(row["name"])] if phase == PASS else PHASES[phase]
            found[key] = found.get(key, 0.0) + int(row["end"] - row["begin"]) * _MS / samples
        return found

    def hops_ms(self, first: int) -> dict[str, list[float]]:
        """What a hop between two stages took where the receiver was waiting for it already, milliseconds.

        send: the sender's copy and its ringing. wake: from then until the receiver had the message in hand.
        """
        found: dict[str, list[float]] = {"send": [], "wake": []}
        for below, above in zip(self.stages, self.stages[1:], strict=False):
            for name in self.passes:
                down = self.flow is Flow.DOWN and name != self.passes[0]
                sender, receiver = (above, below) if down else (below, above)
                received = {int(row["step"]): row for row in receiver.of(RECEIVE, name)}
                for sent in sender.of(SEND, name):
                    row = received.get(int(sent["step"]))
                    if row is not None and sent["step"] >= first and row["begin"] < sent["begin"] < row["end"]:
                        found["send"].append(int(sent["end"] - sent["begin"]) * _MS)
                        found["wake"].append(int(row["end"] - sent["end"]) * _MS)
        return found

    def _admitted(self, first: int) -> dict[int, int]:
        begins = _by_step(self.coordinator.of(SEND, self.passes[0]), "begin")
        return {step: begin for step, begin in begins.items() if step >= first}


def _by_step(rows: np.ndarray, field: str) -> dict[int, int]:
    return {int(step): int(value) for step, value in zip(rows["step"], rows[field], strict=True)}


def busy_share(timeline: Timeline, stage: int, first: int) -> float:
    """The share of its time that a stage computes."""
    shares = timeline.shares_ms(stage, first)
    whole = sum(shares.values())
    idle: Sequence[str] = (PHASES[RECEIVE],)
    return 1 - sum(shares.get(key, 0.0) for key in idle) / whole if whole else 0.0
