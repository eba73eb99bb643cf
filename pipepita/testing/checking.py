"""A rule held to its contract, as an estimator is by river's `check_estimator`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from pipepita.errors import RunError, UserError
from pipepita.rules import Rule, reference
from pipepita.rules.loading import in_words, is_rule
from pipepita.testing import doing, saying
from pipepita.testing.trial import NETWORKS, Trial
from pipepita.testing.verdict import Verdict

_SAYS: dict[str, Callable[[Rule], Iterator[str]]] = {
    "plain data": saying.plain_data,
    "wrong options are one line": saying.wrong_options,
    "passes and what they read": saying.passes_and_reads,
    "settles for a depth": saying.settles,
}
_TRAINS, _REPEATS = "trains", "two runs are equal"
_DOES: dict[str, Callable[[Trial], Iterator[str]]] = {
    "splits agree": doing.splits,
    "relaxed equals locked": doing.relaxed_is_locked,
    "goes on from a snapshot": doing.survives_a_snapshot,
}
_IN_ACTORS = {"shared_memory": "Ray actors agree, shared memory", "tcp": "Ray actors agree, TCP"}


def check_rule(rule: Rule, *, ray: bool = True) -> list[Verdict]:
    """Holds `rule` to the contract of `pipepita.Rule` and `pipepita.Learner`, in under a minute.

    It is trained for a moment on a fully connected and a convolutional network (unless it refuses convolutions with a
    `UserError`), again and again: all engines, splits and schedules must agree to the bit.

    Args:
        rule: The rule, with the options that are to be checked.
        ray: Whether to start Ray actors, which takes most of the time. Actors on a cluster that this process has joined
            already are used instead of new ones.

    Returns:
        What each check came to; all have passed.

    Raises:
        RunError: The rule breaks the contract: all failures, in one line.
        UserError: `rule` is not a rule.

    Example:
        >>> import pipepita as pp
        >>> from pipepita.testing import check_rule
        >>> [verdict.name for verdict in check_rule(pp.Pepita(), ray=False)][:2]
        ['plain data', 'wrong options are one line']
    """
    found = list(checks(rule, ray=ray))
    broken = [f"{verdict.name}: {line}" for verdict in found for line in verdict.failures]
    if broken:
        raise RunError(f"rule {reference(rule)} breaks the contract: {'; '.join(broken)}")
    return found


def checks(rule: Rule, *, ray: bool = True) -> Iterator[Verdict]:
    """The checks of `check_rule` one after the other, as they come to an end; raises nothing for what they find."""
    if not is_rule(type(rule)):
        raise UserError(f"rule is {rule!r}: pass a rule, like pipepita.Pepita()")
    sound = True
    for name, says in _SAYS.items():
        verdict = _judged(name, lambda says=says: says(rule))  # type: ignore[misc]
        sound = sound and verdict.passed
        yield verdict
    verdict, trials = _trains(rule) if sound else (Verdict(_TRAINS, reached=False), [])
    yield verdict
    yield (verdict := _over(trials, _REPEATS, doing.repeats))
    trials = trials if verdict.passed else []  # runs that do not repeat cannot be compared
    for name, does in _DOES.items():
        yield _over(trials, name, does)
    if not ray:
        return
    with ExitStack() as cleanup:
        engine: Any = None
        for transport, name in _IN_ACTORS.items():
            if trials and engine is None:
                from pipepita.engines.ray.engine import RayEngine

                engine = RayEngine(2, device="cpu")
                cleanup.callback(engine.close)
            does = partial(doing.agrees_in_actors, transport=transport, engine=engine)
            yield _over(trials, name, does)


def _trains(rule: Rule) -> tuple[Verdict, list[Trial]]:
    """Whether the rule trains at all, and on which networks the other checks can be run."""
    trials = [Trial.of(rule, network) for network in NETWORKS]
    refused: dict[str, str] = {}

    def trained() -> Iterator[str]:
        for trial in trials:
            try:
                layers = trial.layers()
                for layer in layers:
                    trial.rule.learner(layer, len(layers), 4, 0)
            except UserError as error:
                refused[trial.network] = str(error)
                continue
            yield from (f"{trial.network} network: {line}" for line in doing.learns(trial))
        if len(refused) == len(trials):
            yield f"it refuses every network: {next(iter(refused.values()))}"

    verdict = _judged(_TRAINS, trained)
    if refused and not verdict.failures:
        verdict.note = f"only linear layers: {refused[list(NETWORKS)[-1]]}"
    return verdict, [trial for trial in trials if trial.network not in refused] if verdict.passed else []


def _over(trials: list[Trial], name: str, does: Callable[[Trial], Iterator[str]]) -> Verdict:
    def all_of_them() -> Iterator[str]:
        for trial in trials:
            for line in itertools.islice(does(trial), 1):  # what follows mostly has the same cause
                yield f"{trial.network} network: {line}"

    return _judged(name, all_of_them) if trials else Verdict(name, reached=False)


def _judged(name: str, lines: Callable[[], Iterator[str]]) -> Verdict:
    began, verdict = time.perf_counter(), Verdict(name)
    try:
        verdict.failures.extend(lines())
    except Exception as error:  # a rule may raise anything
        verdict.failures.append(in_words(error))
    verdict.failures = list(dict.fromkeys(verdict.failures))
    verdict.seconds = time.perf_counter() - began
    return verdict
