"""What to change in a run that does not learn: said when it is about to diverge, and when it has."""

from __future__ import annotations

import math
from typing import Any

from pipepita.rules import Rule, options_of
from pipepita.runs.listeners import Listener

# of the loss that guessing has: deep networks that do learn may begin above it
_MUCH_WORSE = 2.0


def advice(rule: Rule, layers: int, *, normalized: bool, lr: float, window: int) -> str:
    """What would make such a run steadier, in the order in which to try it."""
    steps = []
    if layers > 2:
        if not normalized:
            steps.append("normalize")
        own, given = options_of(type(rule)().settled(layers)), options_of(rule)
        steps += [f"{rule.name}:{name}={own[name]}" for name in ("modulate",) if own.get(name) != given.get(name)]
    steps.append(f"a lower lr than {lr:g}")
    if window > 1:
        steps.append(f"a smaller window than {window}")
    return f"{', '.join(steps[:-1])} or {steps[-1]}" if len(steps) > 1 else steps[0]


class DivergenceWarning(Listener):
    """Says once that a run is about to diverge: its loss is much worse than guessing, and still rises.

    listener: who is warned. words: what to change.
    """

    def __init__(self, listener: Listener, classes: int, words: str) -> None:
        self._listener, self._words, self._limit = listener, words, _MUCH_WORSE * math.log(classes)
        self._before, self._said = math.inf, False

    def epoch_ends(self, line: dict[str, Any]) -> None:
        loss, before = line["train_loss"], self._before
        if loss is None:
            return
        self._before = loss
        if not self._said and loss > self._limit and loss > before:
            self._said = True
            self._listener.warn(
                f"the training loss rose to {loss:.3g} in epoch {line['epoch']}, and guessing has "
                f"{self._limit / _MUCH_WORSE:.3g}: the run will probably diverge; try {self._words}"
            )
