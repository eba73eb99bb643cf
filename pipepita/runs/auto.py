"""`--stages auto`: as many stages as are measured to be fastest with the run's schedule.

The layers and what messages cost are measured before the run, and the times of all numbers of stages are predicted from
that. What was chosen is written down, so a resumed run does not choose anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipepita.errors import UserError
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.task import Task
from pipepita.progress import silent, stoppable
from pipepita.runs.listeners import Listener
from pipepita.runs.options.job import Options
from pipepita.schedule import Schedule

if TYPE_CHECKING:
    from pipepita.planning.predict import Prediction


def check(settings: Options, costs: Sequence[float] | None) -> None:
    """`UserError` if something else in the options already says what layers take or where stages go."""
    said = {"costs": costs, "standard_ms": settings.standard_ms, "modulated_ms": settings.modulated_ms}
    for name, value in said.items():
        if value is not None:
            raise UserError(f"{name} {value!r}: stages 'auto' measures what layers take, so leave one of the two out")
    if "," in settings.placement:
        raise UserError(
            f"placement {settings.placement!r} names a node for each stage: give their number instead of stages 'auto'"
        )


def fastest(
    task: Task,
    settings: Options,
    schedule: Schedule,
    batch: int,
    engine: Engine | None,
    listener: Listener,
    stop: Callable[[], bool],
) -> Sequence[range]:
    """Measures, tells the listener what is chosen and why, and returns the layers of each stage.

    batch: items of the largest sample. engine: one that is open, or None. If `stop` says true, `KeyboardInterrupt` ends
    the measurement.
    """
    from pipepita.planning.survey import Site, survey

    listener.prepares("measuring layers and messages, to choose the stages")
    site = Site(settings.device, settings.address, settings.placement, engine)
    found = survey(task, [schedule], batch, site, progress=stoppable(silent, stop))
    listener.chose(in_words(found, schedule.name))
    return found.staged(schedule.name).parts


def in_words(found: Prediction, schedule: str) -> str:
    """What is chosen for a run with Ray, and what one process would take."""
    choice, alone = found.staged(schedule), found.alone.period
    layers = [len(part) for part in choice.parts]
    split = "1, with all layers" if len(layers) == 1 else f"{len(layers)}, with {', '.join(map(str, layers))} layers"
    text = f"stages: {split}; {choice.forecast.period:.3g} ms per sample predicted, {alone:.3g} in one process"
    return text if choice.forecast.period < alone else f"{text}, so --engine local is faster"
