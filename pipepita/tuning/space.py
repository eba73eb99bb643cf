"""What is searched: options of a job, and where Ray Tune draws their values from.

    lr=log:1e-4..1              drawn so that its logarithm is uniform
    dropout=0..0.5              drawn uniformly
    batch-size=16..128          whole numbers if both ends are whole
    optimizer=sgd|adam          one of these
    lr=each:0.1|0.01            each of these, as often as the others
    rule.f_scale=0.05|0.1       an option of the rule

A new way to draw is a class here, and an entry in `RANGES` or `LISTS`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipepita.data import Data
from pipepita.errors import UserError, unknown
from pipepita.rules.options import options
from pipepita.rules.registry import options_of, reference
from pipepita.runs.options.job import Job
from pipepita.runs.options.learning import Epochs, Inputs, NetworkChoice, RuleChoice
from pipepita.runs.options.reading import checked, value_of
from pipepita.runs.options.running import ScheduleChoice

_RULE = "rule."  # before the name of a rule's own option
# epochs are what all trials have in common, and the best of several seeds is luck
_SEARCHED = (Inputs, NetworkChoice, RuleChoice, Epochs, ScheduleChoice)
_FIXED = ("epochs", "seed")
_FORM = "write it like lr=log:1e-4..1, batch-size=16..128 or optimizer=sgd|adam"


class Way(Protocol):
    """Where the values of one option are drawn from."""

    def domain(self) -> Any:
        """The same for Ray Tune."""

    def ends(self) -> Sequence[Any]:
        """The values of which each must be allowed."""


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely."""

    values: tuple[Any, ...]

    def domain(self) -> Any:
        from ray import tune

        return tune.choice(self.values)

    def ends(self) -> Sequence[Any]:
        return self.values


@dataclass(frozen=True)
class Each(Choice):
    """Each of some values, as often as the others: all together, if several options are searched so."""

    def domain(self) -> Any:
        from ray import tune

        return tune.grid_search(list(self.values))


@dataclass(frozen=True)
class Uniform:
    """A number from `low` to `high`; a whole one if both are whole."""

    low: float
    high: float

    def domain(self) -> Any:
        from ray import tune

        return tune.randint(int(self.low), int(self.high) + 1) if self._whole else tune.uniform(self.low, self.high)

    def ends(self) -> Sequence[Any]:
        return self.low, self.high

    @property
    def _whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Logarithmic(Uniform):
    """The same, but its logarithm is uniform, as suits learning rates."""

    def domain(self) -> Any:
        from ray import tune

        low, high = self.low, self.high
        return tune.lograndint(int(low), int(high) + 1) if self._whole else tune.loguniform(low, high)


RANGES: dict[str, type[Uniform]] = {"": Uniform, "log": Logarithmic}
LISTS: dict[str, type[Choice]] = {"": Choice, "each": Each}
Space = Mapping[str, Way]


def parse(texts: Sequence[str]) -> Space:
    """Reads a search space, which must have an option at least.

    Args:
        texts: One for each option, as at the top of this module.

    Raises:
        UserError: A text cannot be read, or names what is not searched.

    Example:
        >>> parse(["lr=log:1e-4..1", "optimizer=sgd|adam"])
        {'lr': Logarithmic(low=0.0001, high=1), 'optimizer': Choice(values=('sgd', 'adam'))}
    """
    found: dict[str, Way] = {}
    for text in texts:
        name, equals, where = text.partition("=")
        name = name.strip() if name.strip().startswith(_RULE) else name.strip().replace("-", "_")
        if not equals or not where.strip():
            raise UserError(f"search {text!r} cannot be read: {_FORM}")
        if name in found:
            raise UserError(f"search {text!r}: {name} is searched already")
        if name in _FIXED:
            raise UserError(f"search {text!r}: {name} is the same for all trials")
        if not name.startswith(_RULE) and name not in (known := _names()):
            raise UserError(f"search {text!r}: {unknown('option', name, known)}")
        found[name] = _way(text, where.strip())
    if not found:
        raise UserError(f"nothing is searched: {_FORM}")
    return found


def _names() -> list[str]:
    """The options that may be searched."""
    return [name for group in _SEARCHED for name in group.model_fields if name not in _FIXED]


def _way(text: str, where: str) -> Way:
    low, dots, high = where.partition("..")
    kind, colon, rest = (low if dots else where).partition(":")
    kinds = RANGES if dots else LISTS
    if colon and kind not in kinds and not dots:
        kind, rest = "", where  # a value that holds a colon, like sgd:momentum=0.9
    elif not colon:
        kind, rest = "", low
    if kind not in kinds:
        raise UserError(f"search {text!r}: {unknown('way to draw', kind, filter(None, kinds))}")
    if not dots:
        return LISTS[kind](tuple(value_of(one.strip()) for one in rest.split("|")))
    ends = value_of(rest.strip()), value_of(high.strip())
    if not all(isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end) for end in ends):
        raise UserError(f"search {text!r} cannot be read: {_FORM}")
    if ends[0] >= ends[1] or (kind == "log" and ends[0] <= 0):
        above = "above 0 and " if kind == "log" else ""
        raise UserError(f"search {text!r}: its lower end must be {above}below the upper one")
    return RANGES[kind](*ends)


def check(space: Space, job: Job, data: Data) -> None:
    """Raises `UserError` if a value that may be drawn is not allowed in `job`, or builds no network for `data`."""
    for name, way in space.items():
        for value in way.ends():
            found = settled(job, {name: value})
            if name in NetworkChoice.model_fields:
                found.model(data)


def settled(job: Job, drawn: Mapping[str, Any]) -> Job:
    """`job` with the values that were drawn. `UserError` if they do not suit it.

    Example:
        >>> settled(Job(), {"lr": 0.3, "rule.f_scale": 0.2}).rule
        {'name': 'pepita', 'f_scale': 0.2}
    """
    given = {name: value for name, value in drawn.items() if not name.startswith(_RULE)}
    own = {name.removeprefix(_RULE): value for name, value in drawn.items() if name.startswith(_RULE)}
    result: Job = checked(Job, job.model_dump(exclude_unset=True) | given)
    if own:
        rule = result.make_rule()
        defaults = {name: field.default for name, field in options(type(rule)).items()}
        chosen = {name: value for name, value in options_of(rule).items() if value != defaults[name]}
        result = checked(
            Job, result.model_dump(exclude_unset=True) | {"rule": {"name": reference(rule), **chosen, **own}}
        )
    return result
