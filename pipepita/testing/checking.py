"""Checks that a rule keeps its contract, as river's `check_estimator` does for an estimator."""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from pipepita.errors import RunError, UserError
from pipepita.rules import Rule, reference
from pipepita.rules.loading import in_words, is_rule
from pipepita.testing import behaviour, declaration
from pipepita.testing.trial import NETWORKS, Trial
from pipepita.testing.verdict import Verdict

_DECLARATIONS: dict[str, Callable[[Rule], Iterator[str]]] = {
    "plain data": declaration.plain_data,
    "wrong options are one line": declaration.wrong_options,
    "passes and what they read": declaration.passes_and_reads,
    "settles for a depth": declaration.settles,
}
_TRAINS, _REPEATS = "trains", "two runs are equal"
_BEHAVIOURS: dict[str, Callable[[Trial], Iterator[str]]] = {
    "splits agree": behaviour.splits,
    "relaxed equals locked": behaviour.relaxed_is_locked,
    "goes on from a snapshot": behaviour.survives_a_snapshot,
}
_IN_ACTORS = {"shared_memory": "Ray actors agree, shared memory", "tcp": "Ray actors agree, TCP"}


def check_rule(rule: Rule, *, ray: bool = True) -> list[Verdict]:
    """Checks in under a minute that `rule` keeps the contract of `pipepita.Rule` and `pipepita.Learner`.

    The rule trains a small fully connected and a small convolutional network (unless it refuses convolutions with a
    `UserError`) many times. Under each schedule, all engines and splits must end with the same bits; relaxed and locked
    must end with the same ones, but streaming may end with others.

    Args:
        rule: The rule, with the options that are to be checked.
        ray: Whether to start Ray actors, which takes most of the time. If this process has joined a cluster, its actors
            run there.

    Returns:
        The verdict of each check. All have passed.

    Raises:
        RunError: The rule breaks the contract. The message lists all failures in one line.
        UserError: `rule` is not a rule.

    Example:
        >>> import pipepita as pp
        >>> from pipepita.testing import check_rule
        >>> [verdict.name for verdict in check_rule(pp.Pepita(), ray=False)][:2]
        ['plain data', 'wrong options are one line']
    """
    verdicts = list(checks(rule, ray=ray))
    failures = [f"{verdict.name}: {line}" for verdict in verdicts for line in verdict.failures]
    if failures:
        raise RunError(f"rule {reference(rule)} breaks the contract: {'; '.join(failures)}")
    return verdicts


def checks(rule: Rule, *, ray: bool = True) -> Iterator[Verdict]:
    """The checks of `check_rule`, one after the other, without an error for what they find.

    Args:
        rule: As in `check_rule`.
        ray: As in `check_rule`.

    Yields:
        The verdict of each check as soon as it is done.

    Raises:
        UserError: `rule` is not a rule.

    Example:
        >>> import pipepita as pp
        >>> first = next(checks(pp.Pepita(), ray=False))
        >>> first.name, first.passed
        ('plain data', True)
    """
    if not is_rule(type(rule)):
        raise UserError(f"rule is {rule!r}: pass a rule, like pipepita.Pepita()")
    all_passed = True
    for name, declares in _DECLARATIONS.items():
        verdict = _judged(name, lambda declares=declares: declares(rule))  # type: ignore[misc]
        all_passed = all_passed and verdict.passed
        yield verdict
    verdict, trials = _trains(rule) if all_passed else (Verdict(_TRAINS, reached=False), [])
    yield verdict
    yield (verdict := _over(trials, _REPEATS, behaviour.repeats))
    trials = trials if verdict.passed else []  # runs that do not repeat cannot be compared
    for name, check in _BEHAVIOURS.items():
        yield _over(trials, name, check)
    if not ray:
        return
    with ExitStack() as cleanup:
        engine: Any = None
        for transport, name in _IN_ACTORS.items():
            if trials and engine is None:
                from pipepita.engines.ray.engine import RayEngine

                engine = RayEngine(2, device="cpu")
                cleanup.callback(engine.close)
            check_in_actors = partial(behaviour.agrees_in_actors, transport=transport, engine=engine)
            yield _over(trials, name, check_in_actors)


def _trains(rule: Rule) -> tuple[Verdict, list[Trial]]:
    """Checks whether the rule trains at all. Returns also the networks on which the other checks can run."""
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
            yield from (f"{trial.network} network: {line}" for line in behaviour.learns(trial))
        if len(refused) == len(trials):
            yield f"it refuses every network: {next(iter(refused.values()))}"

    verdict = _judged(_TRAINS, trained)
    if refused and not verdict.failures:
        verdict.note = f"only linear layers: {refused[list(NETWORKS)[-1]]}"
    return verdict, [trial for trial in trials if trial.network not in refused] if verdict.passed else []


def _over(trials: list[Trial], name: str, check: Callable[[Trial], Iterator[str]]) -> Verdict:
    """The verdict of `check` over all networks."""

    def all_of_them() -> Iterator[str]:
        for trial in trials:
            for line in itertools.islice(check(trial), 1):  # further failures mostly have the same cause
                yield f"{trial.network} network: {line}"

    return _judged(name, all_of_them) if trials else Verdict(name, reached=False)


def _place(error: BaseException) -> str:
    """Where in a file outside this package an error began, in words; "" if it did so within."""
    home = str(Path(__file__).parents[1])
    outside = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(home) and not {"site-packages", "<frozen"} & {*Path(frame.filename).parts}
    ]
    return f" ({Path(outside[-1].filename).name}:{outside[-1].lineno}, in {outside[-1].name})" if outside else ""


def _judged(name: str, lines: Callable[[], Iterator[str]]) -> Verdict:
    began, verdict = time.perf_counter(), Verdict(name)
    try:
        verdict.failures.extend(lines())
    except Exception as error:  # a rule may raise anything
        verdict.failures.append(f"{in_words(error)}{_place(error)}")
    verdict.failures = list(dict.fromkeys(verdict.failures))
    verdict.seconds = time.perf_counter() - began
    return verdict
