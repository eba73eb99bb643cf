"""What to change in a run that does not learn: said if it is about to diverge, and again if it has diverged."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, replace
from typing import Any

from pipepita.rules import Rule, options_of
from pipepita.runs.listeners import Listener

# A loss this many times the loss of guessing is a bad sign. Networks that do learn may begin above that of guessing.
_MUCH_WORSE = 2.0


def advice(rule: Rule, layers: int, *, normalized: bool, lr: float, window: int) -> str:
    """What would make such a run more stable, in words, in the order in which to try it.

    layers: of the network, output layer included. normalized: whether its hidden activity is normalized.
    """
    changes = []
    if layers > 2:
        if not normalized:
            changes.append("normalize")
        default, given = options_of(_default(rule).settled(layers)), options_of(rule)
        changes += [
            f"{rule.name}:{name}={default[name]}" for name in ("modulate",) if default.get(name) != given.get(name)
        ]
    changes.append(f"a lower lr than {lr:g}")
    if window > 1:
        changes.append(f"a smaller window than {window}")
    return f"{', '.join(changes[:-1])} or {changes[-1]}" if len(changes) > 1 else changes[0]


def _default(rule: Rule) -> Rule:
    """`rule` with the defaults of its options; those that have none keep their values."""
    options = {one.name: one.default for one in fields(rule) if one.init and one.default is not MISSING}  # type: ignore[arg-type]
    return replace(rule, **options)  # type: ignore[type-var]


class DivergenceWarning(Listener):
    """Warns once if a run is about to diverge: its loss is much worse than guessing, and still rises.

    listener: who is warned. change: what to change, as `advice` says it.
    """

    def __init__(self, listener: Listener, classes: int, change: str) -> None:
        self._listener, self._change, self._limit = listener, change, _MUCH_WORSE * math.log(classes)
        self._before, self._warned = math.inf, False

    def epoch_ends(self, line: dict[str, Any]) -> None:
        loss, before = line["train_loss"], self._before
        if loss is None:
            return
        self._before = loss
        if not self._warned and loss > self._limit and loss > before:
            self._warned = True
            self._listener.warn(
                f"the training loss rose to {loss:.3g} in epoch {line['epoch']}, and guessing has "
                f"{self._limit / _MUCH_WORSE:.3g}: the run will probably diverge; try {self._change}"
            )
