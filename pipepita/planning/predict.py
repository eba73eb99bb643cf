"""Predicts which number of stages is the fastest, from what layers, messages and the coordinator were measured to cost.

A forecast says how a pipeline compares with another one. What no forecast knows, like other programs on the same cores,
comes from the pipelines that were measured: each number of stages is compared with the most similar of them.

    stages      1         2  3  ... cores      cores + 1  ...  layers
    like        single    roomy                crowded

Nothing here measures anything; `probe` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipepita.network.partition import balance
from pipepita.schedule import Schedule, relaxed
from pipepita.schedule.forecast import Coordination, Forecast, Message, forecast
from pipepita.schedule.topology import Travels
from pipepita.schedule.world import Cost

LOCAL, RAY = "local", "ray"
_WORTH = 0.97  # more stages must take less than this share of the time to be chosen


@dataclass(frozen=True)
class Took:
    """What a sample took, in milliseconds: with one sample in flight (calm) and with several (busy)."""

    calm: float
    busy: float


@dataclass(frozen=True)
class Terms:
    """What was measured in one pipeline. All times are milliseconds.

    Attributes:
        parts: The layers of each of its stages, from 0.
        calm: What each layer costs with one sample in flight.
        busy: What each layer costs while several stages work at once. They share caches and memory.
        message: What a message costs.
        coordination: What the coordinator does.
        took: What a whole sample took; None if that was not measured.
    """

    parts: Sequence[range]
    calm: Sequence[Cost]
    busy: Sequence[Cost]
    message: Message = Message()
    coordination: Coordination = Coordination()
    took: Took | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured of one network on one machine. All times are milliseconds.

    Attributes:
        alone: What a sample takes in one process.
        cores: How many stages can work at the same time.
        single: What was measured with one stage.
        roomy: What was measured with at most as many stages as cores.
        crowded: What was measured with more stages than cores; None if there cannot be more.
    """

    alone: float
    cores: int
    single: Terms
    roomy: Terms
    crowded: Terms | None = None

    def terms(self, stages: int) -> Terms:
        """What was measured in the pipeline that is most like one with so many stages."""
        if stages == 1:
            return self.single
        return self.crowded if stages > self.cores and self.crowded is not None else self.roomy

    def parts(self, stages: int) -> Sequence[range]:
        """So many stages, balanced."""
        terms = self.terms(stages)
        if len(terms.parts) == stages:
            return terms.parts
        return balance([cost.total for cost in self.single.calm], stages)


@dataclass(frozen=True)
class Choice:
    """The fastest way to train with one schedule.

    Attributes:
        schedule: The schedule's name.
        engine: The engine's name.
        parts: The layers of each stage, from 0.
        forecast: What it will do.
    """

    schedule: str
    engine: str
    parts: Sequence[range]
    forecast: Forecast


@dataclass(frozen=True)
class Prediction:
    """What one process and every number of stages will do.

    Attributes:
        alone: What one process will do, with any schedule.
        parts: By number of stages: the layers of each.
        forecasts: By number of stages and name of the schedule: what such a pipeline will do.
    """

    alone: Forecast
    parts: Mapping[int, Sequence[range]]
    forecasts: Mapping[int, Mapping[str, Forecast]]

    def staged(self, schedule: str) -> Choice:
        """The number of stages with which `schedule` is fastest, or the smallest that is nearly as fast."""
        best = 1
        for stages, row in self.forecasts.items():
            if row[schedule].period < _WORTH * self.forecasts[best][schedule].period:
                best = stages
        return Choice(schedule, RAY, self.parts[best], self.forecasts[best][schedule])

    def best(self, schedule: str) -> Choice:
        """The same, or one process if that is faster."""
        choice = self.staged(schedule)
        if choice.forecast.period < _WORTH * self.alone.period:
            return choice
        return Choice(schedule, LOCAL, self.parts[1], self.alone)


def predict(measured: Measured, schedules: Sequence[Schedule], route: Travels, most: int) -> Prediction:
    """Predicts what every number of stages will do.

    Args:
        measured: What was measured.
        schedules: The schedules to compare.
        route: The rule, or what it says about its passes.
        most: The largest number of stages.

    Returns:
        Milliseconds per sample, and what limits them.

    Example:
        >>> from pipepita.schedule import relaxed, streaming
        >>> from pipepita.schedule.topology import Route
        >>> layers = [Cost(1, 1)] * 4
        >>> one, two = (Terms(parts, layers, layers) for parts in ([range(4)], [range(2), range(2, 4)]))
        >>> free = Measured(alone=8, cores=2, single=one, roomy=two)
        >>> found = predict(free, [relaxed(), streaming(3)], Route(), most=4)
        >>> [row["streaming"].period for row in found.forecasts.values()]
        [8.0, 4.0, 4.0, 4.0]
        >>> found.best("streaming").parts, found.best("relaxed").parts
        ([range(0, 2), range(2, 4)], [range(0, 1), range(1, 2), range(2, 3), range(3, 4)])
    """
    parts = {stages: measured.parts(stages) for stages in range(1, most + 1)}
    forecasts = {
        stages: {schedule.name: _anchored(measured, schedule, split, route) for schedule in schedules}
        for stages, split in parts.items()
    }
    return Prediction(Forecast(measured.alone, "core"), parts, forecasts)


def _anchored(measured: Measured, schedule: Schedule, parts: Sequence[range], route: Travels) -> Forecast:
    """A forecast, stretched by what is missing in that of the most similar pipeline which was measured."""
    terms = measured.terms(len(parts))
    found = _forecast(measured, terms, schedule, parts, route)
    if terms.took is None:
        return found
    took, like = (terms.took.busy, schedule) if schedule.window > 1 else (terms.took.calm, relaxed())
    return replace(found, period=found.period * took / _forecast(measured, terms, like, terms.parts, route).period)


def _forecast(measured: Measured, terms: Terms, schedule: Schedule, parts: Sequence[range], route: Travels) -> Forecast:
    costs = terms.busy if schedule.window > 1 else terms.calm
    return forecast(
        schedule, costs, parts, route, message=terms.message, coordination=terms.coordination, cores=measured.cores
    )
