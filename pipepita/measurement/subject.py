"""What is measured: a model as a task, with what its rule chooses where the options leave something open."""

from __future__ import annotations

from torch import nn

from pipepita.data import Data
from pipepita.errors import UserError
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.modules import describe, rebuild
from pipepita.pipeline.task import Task
from pipepita.rules import Rule
from pipepita.runs.options.job import Options
from pipepita.runs.options.kinds import check_kinds


def task_of(model: nn.Sequential, data: Data, rule: Rule, settings: Options) -> Task:
    """The task of training `model`, which stays as it is, with freshly drawn weights.

    Raises `UserError` if these are of other kinds, or do not go together.
    """
    check_kinds(data, rule)
    if not isinstance(model, nn.Sequential):
        raise UserError(f"the model is {type(model).__name__}: pipepita trains an nn.Sequential")
    work = rule.network(rebuild(describe(model)), data.classes)
    spec.initialise(work, settings.seed)
    layers = cut(work, data.item_shape, data.classes, settings.seed, regression=data.regression)
    rule = rule.settled(len(layers))
    settings = settings.settled(rule.defaults(len(layers)))
    return Task(layers, data.classes, rule, settings.updater, settings.learning_rate, settings.seed, settings.threads)
