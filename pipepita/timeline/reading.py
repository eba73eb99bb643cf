"""What can be read from recorded spans: latencies, lock times, what a stage spends its time on, what a hop takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipepita.schedule import Flow
from pipepita.timeline.recorder import DATA, PASS, PHASES, RECEIVE, SEND, UPDATE, Spans

_MS = 1e-6  # milliseconds in a nanosecond


@dataclass(frozen=True)
class Timeline:
    """What the coordinator and each stage of one run recorded, on one clock.

    Attributes:
        passes: Those of the rule, in their order.
        flow: How the second pass travels.
    """

    coordinator: Spans
    stages: list[Spans]
    passes: tuple[str, ...]
    flow: Flow = Flow.UP

    def prediction_ms(self, first: int) -> list[float]:
        """For each sample from `first` on, the milliseconds from its admission to its output at the coordinator."""
        admitted = self._admitted(first)
        received = _by_step(self.coordinator.of(RECEIVE), "end")
        return [(received[step] - admitted[step]) * _MS for step in admitted if step in received]

    def update_ms(self, first: int) -> list[float]:
        """For each sample from `first` on, the milliseconds from its admission to the end of its last update."""
        admitted = self._admitted(first)
        updated: dict[int, int] = {}
        for spans in self.stages:
            for step, end in _by_step(spans.of(UPDATE), "end").items():
                updated[step] = max(updated.get(step, 0), end)
        return [(updated[step] - admitted[step]) * _MS for step in admitted if step in updated]

    def data_ms(self, first: int) -> list[float]:
        """For each sample from `first` on, the milliseconds that the coordinator waited for its items.

        It is next to nothing for items in memory, or if reading ahead keeps up.
        """
        rows = self.coordinator.of(DATA)
        rows = rows[rows["step"] >= first]
        return list((rows["end"] - rows["begin"]) * _MS)

    def lock_ms(self, layer: int, first: int) -> list[float]:
        """The milliseconds that `layer` waited after each sample's standard pass, until the next one's began."""
        for spans in self.stages:
            rows = spans.of(PASS, self.passes[0], layer)
            rows = rows[rows["step"] >= first]
            if len(rows):
                return list((rows["begin"][1:] - rows["end"][:-1]) * _MS)
        return []

    def shares_ms(self, stage: int, first: int) -> dict[str, float]:
        """What one stage spends its time on, in milliseconds per sample: by pass, and by phase for everything else.

        "receive" is the time that it waits for messages.
        """
        spans = self.stages[stage]
        rows = spans.rows[spans.rows["step"] >= first]
        samples = max(1, len(np.unique(rows["step"])))
        shares: dict[str, float] = {}
        for row in rows:
            phase = int(row["phase"])
            key = spans.names[int(row["name"])] if phase == PASS else PHASES[phase]
            shares[key] = shares.get(key, 0.0) + int(row["end"] - row["begin"]) * _MS / samples
        return shares

    def hops_ms(self, first: int) -> dict[str, list[float]]:
        """The milliseconds of each hop between two stages, if the receiver was waiting for it already.

        "send": until the sender had copied the message and rung the doorbell. "wake": from then until the receiver had
        the message.
        """
        hops: dict[str, list[float]] = {"send": [], "wake": []}
        for below, above in zip(self.stages, self.stages[1:], strict=False):
            for name in self.passes:
                down = self.flow is Flow.DOWN and name != self.passes[0]
                sender, receiver = (above, below) if down else (below, above)
                received = {int(row["step"]): row for row in receiver.of(RECEIVE, name)}
                for sent in sender.of(SEND, name):
                    row = received.get(int(sent["step"]))
                    if row is not None and sent["step"] >= first and row["begin"] < sent["begin"] < row["end"]:
                        hops["send"].append(int(sent["end"] - sent["begin"]) * _MS)
                        hops["wake"].append(int(row["end"] - sent["end"]) * _MS)
        return hops

    def _admitted(self, first: int) -> dict[int, int]:
        begins = _by_step(self.coordinator.of(SEND, self.passes[0]), "begin")
        return {step: begin for step, begin in begins.items() if step >= first}


def _by_step(rows: np.ndarray, field: str) -> dict[int, int]:
    return {int(step): int(value) for step, value in zip(rows["step"], rows[field], strict=True)}


def busy_share(timeline: Timeline, stage: int, first: int) -> float:
    """The share of its time in which a stage does not wait for messages, 0 to 1."""
    shares = timeline.shares_ms(stage, first)
    whole = sum(shares.values())
    idle: Sequence[str] = (PHASES[RECEIVE],)
    return 1 - sum(shares.get(key, 0.0) for key in idle) / whole if whole else 0.0
