"""What a run trains and in which order, once everything that was left open has been chosen."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pipepita import schedule as schedules
from pipepita.network.cut import cut
from pipepita.pipeline.task import Task
from pipepita.rules import Rule
from pipepita.runs.options.job import Options
from pipepita.schedule import Schedule


@dataclass(frozen=True)
class Settled:
    """A task, its schedule, and the settings with all that was chosen written into them.

    Attributes:
        task: What is trained.
        schedule: In which order.
        settings: The options, of which a resumed run need choose nothing anew.
    """

    task: Task
    schedule: Schedule
    settings: Options


def settle(
    model: nn.Sequential, item_shape: tuple[int, ...], classes: int, rule: Rule, settings: Options, *,
    regression: bool = False,
) -> Settled:  # fmt: skip
    """Cuts `model` into layers, and chooses what was left open. `UserError` if these do not go together."""
    layers = cut(model, item_shape, classes, settings.seed, regression=regression)
    rule, defaults = rule.settled(len(layers)), rule.defaults(len(layers))
    settings = settings.settled(defaults)
    schedule = schedules.make(settings.schedule, len(layers), settings.window, rule.flow, defaults.window)
    look_ahead = settings.looks_ahead(defaults.look_ahead, schedule.window)
    chosen = {"window": schedule.window, "look_ahead": "on" if look_ahead else "off"}
    settings = settings.model_copy(update=chosen)
    task = Task(
        layers, classes, rule, settings.updater, settings.learning_rate, settings.seed, settings.threads, look_ahead
    )
    return Settled(task, schedule, settings)
