"""Checks of what a rule says about itself, without running it: its data, options, passes and what they read."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from pipepita.channels.channel import CONTROL
from pipepita.errors import UserError
from pipepita.rules import Defaults, Reads, Rule, options, options_of
from pipepita.rules.loading import in_words
from pipepita.schedule import Flow

_OWN = ("flow", "passes", "updates", "rows", "aligns", "align_every", "name", "reads", "learner", "settled", "defaults")
_ODD: tuple[Any, ...] = (None, -1, math.nan, "no such value")


def plain_data(rule: Rule) -> Iterator[str]:
    """It can be compared, sent to other processes, and made again from what a run folder holds."""
    kind = type(rule)
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:
        yield f"{kind.__name__} is not a frozen dataclass: write @dataclass(frozen=True) above the class"
        return
    for name in _OWN:
        if name in options.options(kind):
            yield f"{name} has become an option: write it without an annotation, or as ClassVar"
    try:
        if pickle.loads(pickle.dumps(rule)) != rule:
            yield "a copy of it is not equal to it: its options must be values that can be compared"
    except Exception as error:
        yield f"it cannot be sent to another process: {in_words(error)}"
    try:
        kept = json.loads(json.dumps(options_of(rule)))
        if kind(**options.fitted(kind, rule.name, kept)) != rule:
            yield "made again from its options, as they stand in run.json, it is not equal to it"
    except Exception as error:
        yield f"it cannot be made again from its options, as a resumed run does: {in_words(error)}"


def settles(rule: Rule) -> Iterator[str]:
    """`settled` returns a rule of the same class that settles no further, and `defaults` returns `Defaults`."""
    for layers in (1, 2, 5):
        settled = rule.settled(layers)
        if type(settled) is not type(rule) or settled.settled(layers) != settled:
            yield f"settled({layers}) must be the rule itself or a changed copy of it, and settle no further"
            return
        if not isinstance(rule.defaults(layers), Defaults):
            yield f"defaults({layers}) must be a pipepita.Defaults"
            return


def wrong_options(rule: Rule) -> Iterator[str]:
    """A value that is not allowed is refused in one line."""
    kind = type(rule)
    for option in options.options(kind):
        for value in _ODD:
            try:
                made = kind(**{**options_of(rule), option: value})
            except UserError as error:
                if "\n" in str(error):
                    yield f"option {option} = {value!r} is refused in more than one line"
            except Exception as error:
                yield f"option {option} = {value!r} ends in {in_words(error)}: raise UserError in one line"
            else:
                try:
                    options.check(made)
                except UserError as error:
                    yield f"{error}, and is taken all the same: let __post_init__ call super().__post_init__()"


def passes_and_reads(rule: Rule) -> Iterator[str]:
    """Its passes, and what a layer reads for them, agree with its flow."""
    passes = rule.passes
    if not 1 <= len(passes) <= 2 or len(set(passes)) < len(passes) or set(passes) & set(CONTROL):
        yield f"passes {passes} must be one or two different names, none of them {', '.join(CONTROL)}"
        return
    if (len(passes) == 1) is not (rule.flow is Flow.NONE):
        yield f"flow {rule.flow} does not go with {len(passes)} passes: Flow.NONE is for one pass, the others for two"
    if not set(rule.updates) <= set(passes) or passes[-1] not in rule.updates:
        yield f"updates {rule.updates} must be some of the passes {passes}, and the last one among them"
    if rule.rows < 1:
        yield f"rows {rule.rows} is below 1: a message has at least one row per item"
    yield from _reads(rule, passes)


def _reads(rule: Rule, passes: tuple[str, ...]) -> Iterator[str]:
    """Yields each failure once, for the first layer at which it occurs."""
    ways = {Flow.UP: "up the layers", Flow.DOWN: "down the layers", Flow.ALL: "to all layers at once"}.get(rule.flow)
    failures: dict[str, str] = {}
    told = False
    for layers in (1, 2, 4):
        for number in range(1, layers + 1):
            where = f"like layer {number} of {layers}"
            first = rule.reads(passes[0], number, layers)
            if not first.upstream or first.downstream:
                failures.setdefault(f"pass {passes[0]} comes from below, and a layer reads {_words(first)}", where)
            told |= first.signal
            if len(passes) == 2:
                second = rule.reads(passes[1], number, layers)
                told |= second.signal
                if second.upstream and (rule.flow is not Flow.UP or number == 1):
                    failures.setdefault(f"pass {passes[1]} goes {ways}, and a layer reads what comes from below", where)
                if second.downstream and (rule.flow is not Flow.DOWN or number == layers):
                    failures.setdefault(f"pass {passes[1]} goes {ways}, and a layer reads what comes from above", where)
                begins = number == {Flow.UP: 1, Flow.DOWN: layers}.get(rule.flow)
                if not any(second) and not (begins and first.signal):  # with the target it may send on what it has
                    failures.setdefault(f"pass {passes[1]} is due at a layer that reads nothing for it", where)
    for line, where in failures.items():
        yield f"{line}, {where}"
    if not told:
        yield "no layer reads the signal (the target or the error), so nothing can be learnt"


def _words(reads: Reads) -> str:
    return ", ".join(name for name, wanted in reads._asdict().items() if wanted) or "nothing"
