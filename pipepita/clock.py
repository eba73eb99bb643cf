"""The clock diagram of a schedule: who does what in each slot, when every pass of every layer takes one slot.

    layer 1   S0 .  .  M0 S1 .  .  M1          relaxed, 3 layers: sample 1 enters right behind
    layer 2   .  S0 .  .  M0 S1 .  .  M1       sample 0's modulated pass
    layer 3   .  .  S0 .  .  M0 S1 .  .  M1

Start times are max-plus recurrences: start = max(layer is free, message has arrived).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pipepita.errors import UserError
from pipepita.schedule import Action, Schedule


@dataclass(frozen=True)
class Clock:
    """rows[layer][slot] is an action or None; admitted[t] is the slot in which sample t enters."""

    rows: list[list[Action | None]]
    admitted: list[int]

    @property
    def period(self) -> float:
        """Slots from one sample to the next, over the second half of the diagram (once the pipeline is full)."""
        settled = self.admitted[len(self.admitted) // 2 :]
        gaps = [later - earlier for earlier, later in pairwise(settled)]
        return sum(gaps) / len(gaps) if gaps else float("nan")


def clock(schedule: Schedule, layers: int, samples: int, *, broadcast: bool = False) -> Clock:
    """The diagram of `samples` samples through `layers` layers.

    broadcast: the modulated pass begins at every layer at once (`modulate="all"`) instead of running up the chain.
    `UserError` for fewer than one layer or sample.
    """
    if layers < 1 or samples < 1:
        raise UserError(f"a clock diagram needs at least one layer and one sample, not {layers} and {samples}")
    rows: list[dict[int, Action]] = [{} for _ in range(layers)]
    free = [0] * layers
    output: dict[int, int] = {}  # when each sample's output reaches the coordinator
    admitted, emitted = [], 0

    def run(action: Action, layer: int, arrives: int) -> int:
        start = max(free[layer], arrives)
        rows[layer][start] = action
        free[layer] = start + 1
        return start + 1

    actions = schedule.actions()
    for action in actions:
        if action.step not in output:
            if action.step == samples:
                actions.end(samples)
                continue
            emitted = max(emitted, max(free)) if schedule.waits else max(emitted, free[0])
            admitted.append(max(emitted, free[0]))
            arrives = emitted
            for layer in range(layers):
                arrives = run(action, layer, arrives)
            output[action.step] = arrives
        else:
            emitted = arrives = max(emitted, output[action.step])
            for layer in range(layers):
                done = run(action, layer, arrives)
                arrives = arrives if broadcast else done
    width = max(free)
    return Clock([[row.get(slot) for slot in range(width)] for row in rows], admitted)
